#include "process_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "uint64_value.h"

std::unordered_map<uint64_t, ToldProcess> told_processes;

static constexpr size_t kMostProcesses = 4 * 1024 * 1024;

void TellProcess(uint64_t mm, ToldProcess process) {
  if (told_processes.size() >= kMostProcesses) {
    told_processes.clear();
  }
  static uint64_t last_number = 0;
  process.number = ++last_number;
  told_processes[mm] = std::move(process);
}

namespace {

Napi::Value Describe(Napi::Env env, uint64_t mm, const ToldProcess& process) {
  Napi::Array facts = Napi::Array::New(env, 4);
  facts.Set(0u, Napi::BigInt::New(env, mm));
  facts.Set(1u, Napi::Number::New(env, process.pid));
  facts.Set(2u, Napi::BigInt::New(env, process.pgd));
  facts.Set(3u, Napi::String::New(env, process.name));
  return facts;
}

// setToldProcess(mm, pid, pgd, name)
Napi::Value Set(const Napi::CallbackInfo& info) {
  TellProcess(ToUint64(info[0]),
              {0, info[1].As<Napi::Number>().Int32Value(), ToUint64(info[2]), info[3].As<Napi::String>()});
  return info.Env().Undefined();
}

// findToldProcess(mm): [mm, pid, pgd, name] | undefined
Napi::Value Find(const Napi::CallbackInfo& info) {
  auto found = told_processes.find(ToUint64(info[0]));
  return found == told_processes.end() ? info.Env().Undefined() : Describe(info.Env(), found->first, found->second);
}

// listToldProcesses(): [mm, pid, pgd, name][], in the order in which they were told
Napi::Value List(const Napi::CallbackInfo& info) {
  std::vector<const std::pair<const uint64_t, ToldProcess>*> sorted;
  for (const auto& entry : told_processes) {
    sorted.push_back(&entry);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* one, const auto* other) { return one->second.number < other->second.number; });
  Napi::Array list = Napi::Array::New(info.Env(), sorted.size());
  for (size_t i = 0; i < sorted.size(); i++) {
    list.Set(static_cast<uint32_t>(i), Describe(info.Env(), sorted[i]->first, sorted[i]->second));
  }
  return list;
}

// countToldProcesses(): number
Napi::Value Count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(told_processes.size()));
}

// removeToldProcess(mm): boolean, whether there was one
Napi::Value Remove(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), told_processes.erase(ToUint64(info[0])) != 0);
}

// clearToldProcesses()
Napi::Value Clear(const Napi::CallbackInfo& info) {
  told_processes.clear();
  return info.Env().Undefined();
}

}  // namespace

Napi::Object InitProcessTable(Napi::Env env, Napi::Object exports) {
  exports.Set("setToldProcess", Napi::Function::New(env, Set));
  exports.Set("findToldProcess", Napi::Function::New(env, Find));
  exports.Set("listToldProcesses", Napi::Function::New(env, List));
  exports.Set("countToldProcesses", Napi::Function::New(env, Count));
  exports.Set("removeToldProcess", Napi::Function::New(env, Remove));
  exports.Set("clearToldProcesses", Napi::Function::New(env, Clear));
  return exports;
}
