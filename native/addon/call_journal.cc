#include "call_journal.h"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "dispatch.h"
#include "uint64_value.h"

namespace {

// Marks a call of the x32 ABI (arch/x86/include/uapi/asm/unistd.h).
constexpr uint32_t kX32 = 0x40000000;
// In bytes: TypeScript is called then, so that there is never much more.
constexpr size_t kMuch = 128 * 1024;
constexpr size_t kLongestText = 200;
constexpr uint64_t kMostBytes = 32;
constexpr size_t kMostTexts = 16;
constexpr uint64_t kPage = 4096;
constexpr uint8_t kUnreadable = 255;

std::unordered_map<uint32_t, std::shared_ptr<CallJournal>> journals;

std::shared_ptr<CallJournal> Find(const Napi::Value& id) {
  auto found = journals.find(id.As<Napi::Number>().Uint32Value());
  return found == journals.end() ? nullptr : found->second;
}

double NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

template <typename Array, typename Element>
std::vector<Element> Copy(const Napi::Value& value) {
  auto array = value.As<Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

uint32_t NumberOf(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::Number>().Uint32Value();
}

}  // namespace

bool CallJournal::IsSettled(uint64_t pgd, uint64_t value) const {
  auto found = settled_.find(pgd);
  return found != settled_.end() && found->second.count(static_cast<uint32_t>(value)) != 0;
}

std::unique_ptr<CallEntry> CallEntry::From(const Napi::Object& object, std::shared_ptr<CallJournal> journal) {
  auto entry = std::make_unique<CallEntry>();
  entry->journal_ = std::move(journal);
  entry->entry_ = NumberOf(object, "entry");
  entry->bits_ = NumberOf(object, "bits");
  entry->tgid_ = NumberOf(object, "tgid");
  entry->other_wish_ = NumberOf(object, "otherWish");
  if (object.Get("task").IsObject()) {
    entry->task_ = GuestTest::From(object.Get("task").As<Napi::Object>());
  }
  entry->kinds_ = Copy<Napi::Uint16Array, uint16_t>(object.Get("kinds"));
  entry->wishes_ = Copy<Napi::Uint8Array, uint8_t>(object.Get("wishes"));
  entry->test_of_ = Copy<Napi::Uint8Array, uint8_t>(object.Get("testOf"));
  auto tests = object.Get("tests").As<Napi::Array>();
  for (uint32_t i = 0; i < tests.Length(); i++) {
    auto test = tests.Get(i).As<Napi::Object>();
    entry->tests_.push_back({std::min<uint32_t>(NumberOf(test, "argument"), kArguments - 1), ToUint64(test.Get("mask")),
                             ToUint64(test.Get("value")), test.Get("isUnsettled").As<Napi::Boolean>()});
  }
  auto names = object.Get("registers").As<Napi::Array>();
  for (int i = 0; i < rebox_cpu_count(); i++) {
    auto find = [&](const Napi::Value& name) {
      return name.IsString() ? FindRegister(i, name.As<Napi::String>().Utf8Value().c_str()) : nullptr;
    };
    Registers registers{find(object.Get("number")), {}, find(object.Get("lastAt"))};
    for (uint32_t j = 0; j < names.Length() && j < kArguments; j++) {
      registers.arguments.push_back(find(names.Get(j)));
    }
    entry->registers_.push_back(std::move(registers));
  }
  return entry;
}

template <typename Value>
void CallEntry::Put(Value value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  journal_->records.insert(journal_->records.end(), bytes, bytes + sizeof(value));
}

void CallEntry::PutPiece(const uint8_t* bytes, size_t size, Form form) {
  Put(static_cast<uint8_t>(size));
  Put(form);
  journal_->records.insert(journal_->records.end(), bytes, bytes + size);
}

bool CallEntry::Read(const Call& call, uint64_t address, void* to, size_t size) const {
  uint64_t fault = 0;
  return rebox_read_virtual(call.cpu_index, call.pgd, address, to, size, &fault) == REBOX_MEMORY_OK;
}

// Writes a text down as far as it is in memory.
bool CallEntry::PutText(const Call& call, uint64_t address) {
  uint8_t text[kLongestText];
  size_t size = 0;
  while (size < sizeof(text)) {
    uint64_t here = address + size;
    size_t part = std::min<uint64_t>(sizeof(text) - size, kPage - here % kPage);
    if (!Read(call, here, text + size, part)) {
      break;
    }
    const void* end = memchr(text + size, 0, part);
    if (end) {
      PutPiece(text, static_cast<const uint8_t*>(end) - text, kWhole);
      return true;
    }
    size += part;
  }
  if (size == 0) {
    return false;
  }
  PutPiece(text, size, kCut);
  return true;
}

void CallEntry::PutOneText(const Call& call, uint64_t address) {
  size_t count_at = journal_->records.size();
  Put<uint8_t>(1);
  if (!PutText(call, address)) {
    journal_->records[count_at] = kUnreadable;
  }
}

void CallEntry::PutBytes(const Call& call, uint64_t address, uint64_t size) {
  uint8_t bytes[kMostBytes];
  size_t part = std::min(size, kMostBytes);
  if (!Read(call, address, bytes, part)) {
    Put(kUnreadable);
    return;
  }
  Put<uint8_t>(1);
  PutPiece(bytes, part, size > part ? kCut : kWhole);
}

void CallEntry::PutTexts(const Call& call, uint64_t address) {
  size_t count_at = journal_->records.size(), width = bits_ / 8, count = 0;
  Put<uint8_t>(0);
  for (; count < kMostTexts; count++) {
    uint64_t text = 0;
    if (!Read(call, address + count * width, &text, width)) {
      if (count == 0) {
        journal_->records[count_at] = kUnreadable;
        return;
      }
      break;
    }
    if (text == 0) {
      journal_->records[count_at] = count;
      return;
    }
    if (!PutText(call, text)) {
      PutPiece(reinterpret_cast<const uint8_t*>(&text), sizeof(text), kAddress);
    }
  }
  PutPiece(nullptr, 0, kMore);
  journal_->records[count_at] = count + 1;
}

void CallEntry::PutPieces(const Call& call, uint32_t kinds) {
  for (size_t i = 0; i < kArguments; i++, kinds >>= 2) {
    switch (kinds & 3) {
      case kText:
        PutOneText(call, call.values[i]);
        break;
      case kBytes:
        PutBytes(call, call.values[i], i + 1 < kArguments ? call.values[i + 1] : 0);
        break;
      case kTexts:
        PutTexts(call, call.values[i]);
        break;
      default:
        break;
    }
  }
}

// Zero when the kernel does not say which task runs.
int32_t CallEntry::FindProcess(int cpu_index) const {
  uint64_t task = 0;
  int32_t process = 0;
  return task_.FindNode(cpu_index, &task) && task_.ReadNumber(cpu_index, task + tgid_, &process) ? process : 0;
}

bool CallEntry::IsPassed(const Call& call, uint32_t number, uint8_t wish) const {
  if (wish & kPass) {
    return true;
  }
  uint8_t which = number < test_of_.size() ? test_of_[number] : 0;
  if (which == 0 || which > tests_.size()) {
    return false;
  }
  const Test& test = tests_[which - 1];
  uint64_t value = call.values[test.argument];
  return test.is_unsettled ? !journal_->IsSettled(call.pgd, value) : (value & test.mask) == test.value;
}

bool CallEntry::Note(int cpu_index) {
  if (static_cast<size_t>(cpu_index) >= registers_.size() || !registers_[cpu_index].number) {
    return false;
  }
  const Registers& from = registers_[cpu_index];
  Call call{cpu_index, script_objects.pgds[cpu_index], {}};
  for (size_t i = 0; i < kArguments; i++) {
    if (i < from.arguments.size()) {
      call.values[i] = from.arguments[i] ? Width(*from.arguments[i]) : 0;
    } else if (i == from.arguments.size() && from.last_at) {
      Read(call, Width(*from.last_at), &call.values[i], bits_ / 8);
    }
  }
  uint32_t number = static_cast<uint32_t>(*from.number) & ~kX32;
  uint8_t wish = number < wishes_.size() ? wishes_[number] : other_wish_;
  bool is_passed = IsPassed(call, number, wish);
  if (wish & kUnsettles) {
    journal_->Unsettle(call.pgd);
  }
  std::vector<uint8_t>& records = journal_->records;
  size_t begin = records.size();
  Put<uint32_t>(0);
  Put(entry_);
  Put<uint16_t>(is_passed);
  Put(number);
  Put(FindProcess(cpu_index));
  Put(NowMs());
  Put(call.pgd);
  for (uint64_t value : call.values) {
    Put(value);
  }
  if (wish & kPieces) {
    PutPieces(call, number < kinds_.size() ? kinds_[number] : 0);
  }
  uint32_t size = records.size() - begin;
  memcpy(records.data() + begin, &size, sizeof(size));
  return is_passed || records.size() >= kMuch;
}

namespace {

// createCallJournal(): number
Napi::Value Create(const Napi::CallbackInfo& info) {
  static uint32_t last_id = 0;
  journals[++last_id] = std::make_shared<CallJournal>();
  return Napi::Number::New(info.Env(), last_id);
}

// removeCallJournal(id)
Napi::Value Remove(const Napi::CallbackInfo& info) {
  journals.erase(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

// journalCallsAt(listenerId, journal, entry): boolean, whether there are such a hook and such a journal
Napi::Value JournalAt(const Napi::CallbackInfo& info) {
  Listener* listener = subscriptions.Find(info[0].As<Napi::Number>().Uint32Value());
  auto journal = Find(info[1]);
  bool is_there = listener && listener->is_hooked && journal;
  if (is_there) {
    listener->call_entry = CallEntry::From(info[2].As<Napi::Object>(), std::move(journal));
  }
  return Napi::Boolean::New(info.Env(), is_there);
}

// takeCalls(journal): Uint8Array
Napi::Value Take(const Napi::CallbackInfo& info) {
  auto journal = Find(info[0]);
  size_t size = journal ? journal->records.size() : 0;
  Napi::ArrayBuffer copy = Napi::ArrayBuffer::New(info.Env(), size);
  if (size) {
    memcpy(copy.Data(), journal->records.data(), size);
    journal->records.clear();
  }
  return Napi::Uint8Array::New(info.Env(), size, copy, 0);
}

// settleCalls(journal, pgd, value)
Napi::Value Settle(const Napi::CallbackInfo& info) {
  if (auto journal = Find(info[0])) {
    journal->Settle(ToUint64(info[1]), ToUint64(info[2]));
  }
  return info.Env().Undefined();
}

// unsettleCalls(journal, pgd)
Napi::Value Unsettle(const Napi::CallbackInfo& info) {
  if (auto journal = Find(info[0])) {
    journal->Unsettle(ToUint64(info[1]));
  }
  return info.Env().Undefined();
}

}  // namespace

Napi::Object InitCallJournals(Napi::Env env, Napi::Object exports) {
  exports.Set("createCallJournal", Napi::Function::New(env, Create));
  exports.Set("removeCallJournal", Napi::Function::New(env, Remove));
  exports.Set("journalCallsAt", Napi::Function::New(env, JournalAt));
  exports.Set("takeCalls", Napi::Function::New(env, Take));
  exports.Set("settleCalls", Napi::Function::New(env, Settle));
  exports.Set("unsettleCalls", Napi::Function::New(env, Unsettle));
  return exports;
}
