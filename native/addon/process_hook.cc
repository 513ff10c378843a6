#include "process_hook.h"

#include <cstring>

#include "dispatch.h"
#include "guest_events.h"

namespace {

// TASK_COMM_LEN
constexpr size_t kNameSize = 16;
// include/linux/sched.h
constexpr uint32_t kKernelThread = 0x00200000;

// TypeScript knows more than the table, and decides everything.
bool is_suspended = false;

}  // namespace

ProcessHook::ProcessHook(Place place, const TaskLayout& layout, const Napi::Value& on_unwatched)
    : place_(place), layout_(layout) {
  State().calls.Hold(on_unwatched_, on_unwatched);
  // The System V ABI for x86-64; on 32 bits the kernel is compiled with -mregparm=3 (arch/x86/Makefile).
  bool is_64 = layout.pointer_size == 8;
  for (size_t i = 0; i < script_objects.cpus.size(); i++) {
    registers_.push_back({FindRegister(i, is_64 ? "RDI" : "RAX"), FindRegister(i, is_64 ? "RSI" : "RDX"),
                          FindRegister(i, is_64 ? "GS_BASE" : "FS_BASE")});
  }
}

ProcessHook::~ProcessHook() {
  if (!State().silent) {
    State().calls.Release(on_unwatched_);
  }
}

bool ProcessHook::Handle(int cpu_index) {
  if (is_suspended) {
    return false;
  }
  switch (place_) {
    case Place::kNewTask:
      return HandleNewTask(cpu_index);
    case Place::kLeave:
      return HandleLeave(cpu_index);
    default:
      return HandleNewProgram(cpu_index);
  }
}

bool ProcessHook::Task::is_user() const { return mm && !(flags & kKernelThread); }

bool ProcessHook::HandleNewTask(int cpu_index) {
  Task task;
  // Memory that others use too may be that of the task that made it, or only be looked at.
  if (!ReadTask(cpu_index, ToWidth(*registers_[cpu_index].first), &task) || (task.is_user() && task.users != 1)) {
    return false;
  }
  if (task.is_user() && task.tid == task.tgid) {
    Begin(task);
  }
  return true;
}

bool ProcessHook::HandleNewProgram(int cpu_index) {
  Task task;
  uint64_t address = 0, place = ToWidth(*registers_[cpu_index].base + layout_.current);
  if (!layout_.current || !ReadPointer(cpu_index, place, &address) || !ReadTask(cpu_index, address, &task) ||
      task.pgd != script_objects.pgds[cpu_index]) {
    return false;
  }
  if (task.is_user()) {
    Begin(task);
  }
  return true;
}

bool ProcessHook::HandleLeave(int cpu_index) {
  uint64_t mm = ToWidth(*registers_[cpu_index].second);
  Task task;
  if (!mm) {
    return true;
  }
  if (!ReadTask(cpu_index, ToWidth(*registers_[cpu_index].first), &task)) {
    return false;
  }
  if (task.mm != mm || !task.is_user()) {
    return true;
  }
  if (task.users != 1) {
    return false;
  }
  auto found = told_processes.find(mm);
  if (found == told_processes.end()) {
    // What has not begun does not end: its program could not be loaded.
    return true;
  }
  ToldProcess process = found->second;
  if (process.pid == task.tgid) {
    if (task.tid != task.tgid) {
      // A process is called what its first thread is called.
      return false;
    }
    process.name = task.name;
  }
  process.pgd = task.pgd;
  told_processes.erase(found);
  Raise(kRemoveProcess, process);
  return true;
}

void ProcessHook::Begin(const Task& task) {
  ToldProcess process{0, task.tgid, task.pgd, task.name};
  TellProcess(task.mm, process);
  Raise(kCreateProcess, process);
}

void ProcessHook::Raise(int kind, const ToldProcess& process) {
  const ListenerList& listeners = subscriptions.by_kind[kind];
  if (!listeners.AnyAlive()) {
    return;
  }
  RaiseProcess(kind, process);
  if (!listeners.AnyAlive()) {
    napi_value error = nullptr, argument = script_objects.Number(kind);
    State().calls.Call(on_unwatched_, 1, &argument, &error);
  }
}

bool ProcessHook::Read(int cpu_index, uint64_t address, void* to, size_t size) const {
  uint64_t fault = 0;
  return rebox_read_virtual(cpu_index, script_objects.pgds[cpu_index], address, to, size, &fault) == REBOX_MEMORY_OK;
}

bool ProcessHook::ReadPointer(int cpu_index, uint64_t address, uint64_t* value) const {
  *value = 0;
  return Read(cpu_index, address, value, layout_.pointer_size);
}

bool ProcessHook::ReadTask(int cpu_index, uint64_t address, Task* task) const {
  char name[kNameSize + 1] = {};
  if (!Read(cpu_index, address + layout_.flags, &task->flags, sizeof(task->flags)) ||
      !ReadPointer(cpu_index, address + layout_.mm, &task->mm) ||
      !Read(cpu_index, address + layout_.tid, &task->tid, sizeof(task->tid)) ||
      !Read(cpu_index, address + layout_.tgid, &task->tgid, sizeof(task->tgid)) ||
      !Read(cpu_index, address + layout_.name, name, kNameSize)) {
    return false;
  }
  task->name = name;
  for (char letter : task->name) {
    if (letter & 0x80) {
      // JavaScript knows what to make of text that is not ASCII, and may not even be UTF-8.
      return false;
    }
  }
  if (!task->mm) {
    return true;
  }
  uint64_t table = 0, page_size = 0;
  return Read(cpu_index, task->mm + layout_.users, &task->users, sizeof(task->users)) &&
         ReadPointer(cpu_index, task->mm + layout_.pgd, &table) &&
         rebox_translate(cpu_index, script_objects.pgds[cpu_index], table, &task->pgd, &page_size);
}

namespace {

// decideProcessesAt(listenerId, place, layout, onUnwatched)
Napi::Value Decide(const Napi::CallbackInfo& info) {
  Listener* listener = subscriptions.Find(info[0].As<Napi::Number>().Uint32Value());
  Napi::Object object = info[2].As<Napi::Object>();
  auto number = [&](const char* name) { return object.Get(name).As<Napi::Number>().Uint32Value(); };
  TaskLayout layout{number("flags"), number("mm"),          number("tid"),
                    number("tgid"),  number("name"),        number("users"),
                    number("pgd"),   number("pointerSize"), 0};
  bool lossless = false;
  layout.current = object.Get("current").As<Napi::BigInt>().Uint64Value(&lossless);
  auto place = static_cast<ProcessHook::Place>(info[1].As<Napi::Number>().Int32Value());
  if (listener) {
    listener->process_hook = std::make_unique<ProcessHook>(place, layout, info[3]);
  }
  return info.Env().Undefined();
}

// suspendProcessHooks(on)
Napi::Value Suspend(const Napi::CallbackInfo& info) {
  is_suspended = info[0].As<Napi::Boolean>();
  return info.Env().Undefined();
}

}  // namespace

Napi::Object InitProcessHook(Napi::Env env, Napi::Object exports) {
  exports.Set("decideProcessesAt", Napi::Function::New(env, Decide));
  exports.Set("suspendProcessHooks", Napi::Function::New(env, Suspend));
  return exports;
}
