#include "process_journal.h"

#include <time.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "dispatch.h"
#include "uint64_value.h"

namespace {

// TASK_COMM_LEN
constexpr size_t kNameSize = 16;
// include/linux/sched.h
constexpr uint32_t kKernelThread = 0x00200000;
// In bytes: what is longer is cut off.
constexpr size_t kLongestWords = 4096;
constexpr size_t kLongestPath = 4096;
constexpr uint64_t kPage = 4096;
// TypeScript takes them many times a second.
constexpr size_t kMostNotes = 20000;

struct Entry {
  int place;
  int32_t pid, ppid;
  std::string name, path, words;
  // CLOCK_MONOTONIC, which process.hrtime() reads too.
  double time_ms;
};

std::deque<Entry> entries;
double lost = 0;

double NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

}  // namespace

ProcessJournal::ProcessJournal(Place place, const JournalLayout& layout, std::shared_ptr<GuestSet> told,
                               std::shared_ptr<GuestSet> also_told)
    : place_(place), layout_(layout), told_(std::move(told)), also_told_(std::move(also_told)) {
  bool is_64 = layout.pointer_size == 8;
  for (int i = 0; i < rebox_cpu_count(); i++) {
    registers_.push_back({FindRegister(i, is_64 ? "RDI" : "RAX"), FindRegister(i, is_64 ? "GS_BASE" : "FS_BASE")});
  }
}

void ProcessJournal::Note(int cpu_index) const {
  if (static_cast<size_t>(cpu_index) >= registers_.size()) {
    return;
  }
  uint64_t argument = Width(*registers_[cpu_index].argument);
  uint64_t current = Pointer(cpu_index, *registers_[cpu_index].base + layout_.current);
  uint64_t task = place_ == Place::kBegin ? argument : current;
  auto has = [&](const std::shared_ptr<GuestSet>& set) { return set && set->Has({task, 0}); };
  uint64_t mm = Pointer(cpu_index, task + layout_.mm);
  if (!task || has(told_) || has(also_told_) || !mm ||
      (static_cast<uint32_t>(Number(cpu_index, task + layout_.flags)) & kKernelThread)) {
    return;
  }
  int32_t pid = Number(cpu_index, task + layout_.tgid);
  if ((place_ == Place::kBegin && Number(cpu_index, task + layout_.tid) != pid) ||
      (place_ == Place::kEnd && !IsLast(cpu_index, task))) {
    return;
  }
  if (entries.size() >= kMostNotes) {
    lost++;
    return;
  }
  // A process is called what its first thread is called.
  uint64_t leader = Pointer(cpu_index, task + layout_.leader);
  Entry entry{static_cast<int>(place_),
              pid,
              Number(cpu_index, Pointer(cpu_index, task + layout_.parent) + layout_.tgid),
              Text(cpu_index, (leader ? leader : task) + layout_.name, kNameSize),
              {},
              {},
              NowMs()};
  if (place_ == Place::kProgram) {
    if (layout_.path) {
      entry.path = Text(cpu_index, Pointer(cpu_index, argument + layout_.path), kLongestPath);
    }
    entry.words = Words(cpu_index, mm);
  }
  entries.push_back(std::move(entry));
}

bool ProcessJournal::IsLast(int cpu_index, uint64_t task) const {
  uint64_t signal = Pointer(cpu_index, task + layout_.signal);
  // kernel/exit.c: do_exit() takes itself off after this.
  return signal && Number(cpu_index, signal + layout_.live) == 1;
}

bool ProcessJournal::Read(int cpu_index, uint64_t address, void* to, size_t size) const {
  uint64_t fault = 0;
  return rebox_read_virtual(cpu_index, script_objects.pgds[cpu_index], Width(address), to, size, &fault) ==
         REBOX_MEMORY_OK;
}

uint64_t ProcessJournal::Pointer(int cpu_index, uint64_t address) const {
  uint64_t pointer = 0;
  return Read(cpu_index, address, &pointer, layout_.pointer_size) ? pointer : 0;
}

int32_t ProcessJournal::Number(int cpu_index, uint64_t address) const {
  int32_t number = 0;
  return Read(cpu_index, address, &number, sizeof(number)) ? number : 0;
}

std::string ProcessJournal::Text(int cpu_index, uint64_t address, size_t longest) const {
  std::string text;
  while (text.size() < longest) {
    char bytes[256];
    size_t part = std::min({sizeof(bytes), longest - text.size(), static_cast<size_t>(kPage - address % kPage)});
    if (!Read(cpu_index, address, bytes, part)) {
      break;
    }
    size_t length = std::find(bytes, bytes + part, '\0') - bytes;
    text.append(bytes, length);
    if (length < part) {
      break;
    }
    address += part;
  }
  return text;
}

std::string ProcessJournal::Words(int cpu_index, uint64_t mm) const {
  uint64_t at = Pointer(cpu_index, mm + layout_.words), end = Pointer(cpu_index, mm + layout_.words_end);
  std::string words;
  while (at < end && words.size() < kLongestWords) {
    char bytes[kPage];
    size_t part = std::min<uint64_t>({end - at, kLongestWords - words.size(), kPage - at % kPage});
    if (!Read(cpu_index, at, bytes, part)) {
      break;
    }
    words.append(bytes, part);
    at += part;
  }
  return words;
}

namespace {

// journalProcessesAt(listenerId, place, layout, toldSet, alsoToldSet): boolean, whether there is such a hook
Napi::Value Journal(const Napi::CallbackInfo& info) {
  Listener* listener = subscriptions.Find(info[0].As<Napi::Number>().Uint32Value());
  if (!listener || !listener->is_hooked) {
    return Napi::Boolean::New(info.Env(), false);
  }
  Napi::Object object = info[2].As<Napi::Object>();
  auto number = [&](const char* name) { return object.Get(name).As<Napi::Number>().Uint32Value(); };
  JournalLayout layout{number("flags"),       number("mm"),
                       number("tid"),         number("tgid"),
                       number("name"),        number("parent"),
                       number("leader"),      number("signal"),
                       number("live"),        number("words"),
                       number("wordsEnd"),    number("path"),
                       number("pointerSize"), ToUint64(object.Get("current"))};
  auto set = [&](size_t index) { return FindGuestSet(info[index].As<Napi::Number>().Uint32Value()); };
  auto place = static_cast<ProcessJournal::Place>(info[1].As<Napi::Number>().Int32Value());
  listener->process_journal = std::make_unique<ProcessJournal>(place, layout, set(3), set(4));
  return Napi::Boolean::New(info.Env(), true);
}

// takeProcessJournal(): [notes, lost]
Napi::Value Take(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array notes = Napi::Array::New(env, entries.size());
  uint32_t index = 0;
  for (const Entry& entry : entries) {
    Napi::Array note = Napi::Array::New(env, 7);
    note.Set(0u, Napi::Number::New(env, entry.place));
    note.Set(1u, Napi::Number::New(env, entry.pid));
    note.Set(2u, Napi::Number::New(env, entry.ppid));
    note.Set(3u, Napi::String::New(env, entry.name));
    note.Set(4u, Napi::String::New(env, entry.path));
    note.Set(5u, Napi::String::New(env, entry.words));
    note.Set(6u, Napi::Number::New(env, entry.time_ms));
    notes.Set(index++, note);
  }
  entries.clear();
  Napi::Array result = Napi::Array::New(env, 2);
  result.Set(0u, notes);
  result.Set(1u, Napi::Number::New(env, lost));
  lost = 0;
  return result;
}

}  // namespace

Napi::Object InitProcessJournal(Napi::Env env, Napi::Object exports) {
  exports.Set("journalProcessesAt", Napi::Function::New(env, Journal));
  exports.Set("takeProcessJournal", Napi::Function::New(env, Take));
  return exports;
}
