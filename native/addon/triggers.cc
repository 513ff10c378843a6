#include "triggers.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <vector>

#include "dispatch.h"

namespace {

enum class Kind { kPointer, kUint64, kString, kBytes };

struct Variable {
  std::string key;
  Kind kind;
  void* value;  // from malloc()
  size_t size;
};

// What a handle stands for. Few variables, read at every event: a linear search is the fastest.
struct Store {
  Trigger* trigger = nullptr;
  std::vector<Variable> variables;
  std::map<std::string, function_t> functions;
};

// By handle - 1, with a gap where a trigger was removed.
std::vector<std::unique_ptr<Store>> stores;

Store* FindStore(callback_handle_t handle) {
  return handle - 1 < stores.size() ? stores[handle - 1].get() : nullptr;
}

callback_handle_t NewHandle(Trigger* trigger) {
  size_t index = 0;
  while (index < stores.size() && stores[index]) {
    index++;
  }
  if (index == stores.size()) {
    stores.emplace_back();
  }
  stores[index] = std::make_unique<Store>();
  stores[index]->trigger = trigger;
  return index + 1;
}

Variable* FindVariable(Store* store, const char* key) {
  if (store && key) {
    for (Variable& variable : store->variables) {
      if (strcmp(variable.key.c_str(), key) == 0) {
        return &variable;
      }
    }
  }
  return nullptr;
}

// Takes value, which comes from malloc().
void SetVariable(callback_handle_t handle, const char* key, Kind kind, void* value, size_t size) {
  Store* store = FindStore(handle);
  Variable* variable = FindVariable(store, key);
  if (!store || !key) {
    return;
  }
  if (!variable) {
    store->variables.push_back({key, kind, value, size});
    return;
  }
  if (variable->value != value) {
    free(variable->value);
  }
  variable->kind = kind;
  variable->value = value;
  variable->size = size;
}

// One byte more than asked for, a zero: a string's end, and an address for what has no bytes.
void* Copy(const void* bytes, size_t size) {
  char* copy = static_cast<char*>(malloc(size + 1));
  if (size) {
    memcpy(copy, bytes, size);
  }
  copy[size] = 0;
  return copy;
}

std::string DescribeVersion(uint32_t version) {
  return std::to_string(version >> 16) + "." + std::to_string(version & 0xffff);
}

template <typename Function>
bool FindFunction(void* library, const char* name, Function* function, std::string* error) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (!*function) {
    *error = std::string("it has no function ") + name + "(): every trigger exports get_type, trigger and clean, in " +
             "C++ as extern \"C\", which rebox_trigger.h declares";
  }
  return *function != nullptr;
}

}  // namespace

const char* TriggerTypeName(int type) {
  static const char* const names[] = {
      "OP_BLOCK_BEGIN_CB (BLOCK_BEGIN_CB with addr)",
      "OP_INSN_BEGIN_CB (INSN_BEGIN_CB with addr)",
      "BLOCK_BEGIN_CB",
      "BLOCK_END_CB",
      "INSN_BEGIN_CB",
      "INSN_END_CB",
      "MEM_READ_CB",
      "MEM_WRITE_CB",
      "KEYSTROKE_CB",
      "NIC_REC_CB",
      "NIC_SEND_CB",
      "OPCODE_RANGE_CB",
      "TLB_EXEC_CB",
      "CREATEPROC_CB",
      "REMOVEPROC_CB",
      "CONTEXTCHANGE_CB",
      "LOADMODULE_CB",
      "REMOVEMODULE_CB",
  };
  return type >= 0 && type < LAST_CB ? names[type] : "a type that does not exist";
}

qemu_cpu_opaque_t* opaque_cpus;

// A vCPU's state stays where it is for the engine's life.
static void FindCpus() {
  if (!opaque_cpus) {
    int count = get_num_cpus();
    opaque_cpus = new qemu_cpu_opaque_t[count];
    for (int i = 0; i < count; i++) {
      opaque_cpus[i] = get_qemu_cpu(i);
    }
  }
}

// Within a catch: tells what a trigger has thrown.
static std::string DescribeThrown() {
  try {
    throw;
  } catch (const std::exception& thrown) {
    return std::string("a C++ exception, ") + thrown.what();
  } catch (...) {
    return "a C++ exception";
  }
}

Trigger* Trigger::Load(const std::string& path, callback_type_t type, uint32_t listener_id, std::string* error) {
  std::unique_ptr<Trigger> trigger(new Trigger);
  trigger->listener_id_ = listener_id;
  callback_type_t (*get_type)() = nullptr;
  trigger->library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!trigger->library_) {
    *error = dlerror();
    return nullptr;
  }
  void* library = trigger->library_;
  auto version = static_cast<const uint32_t*>(dlsym(library, "rebox_trigger_api_version"));
  const uint32_t expected = (REBOX_TRIGGER_API << 16) | REBOX_GLUE_VERSION;
  if (!version) {
    *error = "it does not say which trigger API it was compiled for: put REBOX_TRIGGER_API_VERSION; into its source";
  } else if (*version != expected) {
    *error = "it was compiled for trigger API " + DescribeVersion(*version) + ", and this is " +
             DescribeVersion(expected) + ": compile it anew";
  } else if (FindFunction(library, "get_type", &get_type, error) &&
             FindFunction(library, "trigger", &trigger->trigger_, error) &&
             FindFunction(library, "clean", &trigger->clean_, error)) {
    try {
      callback_type_t own = get_type();
      if (own != type) {
        *error = std::string("it is a trigger for ") + TriggerTypeName(own) + ", and this is a callback of type " +
                 TriggerTypeName(type);
      }
    } catch (...) {
      *error = "its get_type() has thrown " + DescribeThrown();
    }
  }
  if (!error->empty()) {
    dlclose(library);
    return nullptr;
  }
  FindCpus();
  trigger->handle_ = NewHandle(trigger.get());
  if (auto init = reinterpret_cast<void (*)(callback_handle_t)>(dlsym(library, "trigger_init"))) {
    try {
      init(trigger->handle_);
    } catch (...) {
      *error = "its trigger_init() has thrown " + DescribeThrown();
      trigger.release()->EndIfIdle();
      return nullptr;
    }
  }
  return trigger.release();
}

void Trigger::Unload(Trigger* trigger) {
  trigger->doomed_ = true;
  trigger->EndIfIdle();
}

void Trigger::EndIfIdle() {
  if (depth_) {
    return;
  }
  try {
    clean_(handle_);
  } catch (...) {
    // It is going, and its callback may be gone: nobody could do anything about it.
  }
  erase_trigger_vars(handle_);
  stores[handle_ - 1].reset();
  dlclose(library_);
  delete this;
}

void Trigger::OnThrown() {
  std::string what = "its trigger has thrown " + DescribeThrown() + ", and was removed: nothing may leave a trigger";
  uint32_t id = listener_id_;
  if (FindTrigger(id) == this) {
    SetTrigger(id, nullptr);
  }
  ReportTriggerFailure(id, what);
}

void Trigger::Run(function_t function) {
  auto end = [this] {
    depth_--;
    if (doomed_) {
      EndIfIdle();
    }
  };
  depth_++;
  try {
    function(handle_);
  } catch (...) {
    end();
    throw;
  }
  end();
}

bool Trigger::Call(const std::string& name, std::string* error) {
  Store* store = FindStore(handle_);
  auto found = store->functions.find(name);
  if (found == store->functions.end()) {
    std::string declared;
    for (const auto& entry : store->functions) {
      declared += (declared.empty() ? "" : ", ") + entry.first;
    }
    *error = "has declared no function " + name + ": it has " + (declared.empty() ? "none at all" : declared);
    return false;
  }
  try {
    Run(found->second);
    return true;
  } catch (...) {
    *error = "has thrown " + DescribeThrown() + " in its function " + name;
    return false;
  }
}

void Trigger::CallFromTrigger(const std::string& name) {
  Store* store = FindStore(handle_);
  auto found = store->functions.find(name);
  if (found != store->functions.end()) {
    Run(found->second);
  }
}

// ---- what triggers call ----

extern "C" {

void* get_var(callback_handle_t handle, const char* key_str) {
  Variable* variable = FindVariable(FindStore(handle), key_str);
  return variable ? variable->value : nullptr;
}

void set_var(callback_handle_t handle, const char* key_str, void* val) {
  SetVariable(handle, key_str, Kind::kPointer, val, 0);
}

void set_var_uint64(callback_handle_t handle, const char* key_str, uint64_t value) {
  Variable* variable = FindVariable(FindStore(handle), key_str);
  if (variable && variable->kind == Kind::kUint64) {
    // A counter is set at every event.
    memcpy(variable->value, &value, sizeof(value));
    return;
  }
  SetVariable(handle, key_str, Kind::kUint64, Copy(&value, sizeof(value)), sizeof(value));
}

void set_var_string(callback_handle_t handle, const char* key_str, const char* text) {
  size_t size = text ? strlen(text) : 0;
  SetVariable(handle, key_str, Kind::kString, Copy(text, size), size);
}

void set_var_bytes(callback_handle_t handle, const char* key_str, const void* bytes, size_t size) {
  SetVariable(handle, key_str, Kind::kBytes, Copy(bytes, size), size);
}

size_t get_var_size(callback_handle_t handle, const char* key_str) {
  Variable* variable = FindVariable(FindStore(handle), key_str);
  return variable ? variable->size : 0;
}

int get_var_uint64(callback_handle_t handle, const char* key_str, uint64_t* value) {
  Variable* variable = FindVariable(FindStore(handle), key_str);
  if (!variable || variable->kind != Kind::kUint64) {
    return 0;
  }
  memcpy(value, variable->value, sizeof(*value));
  return 1;
}

const char* get_var_string(callback_handle_t handle, const char* key_str) {
  Variable* variable = FindVariable(FindStore(handle), key_str);
  return variable && variable->kind == Kind::kString ? static_cast<const char*>(variable->value) : nullptr;
}

void delete_var(callback_handle_t handle, const char* key_str, int bool_free) {
  Store* store = FindStore(handle);
  Variable* variable = FindVariable(store, key_str);
  if (variable) {
    if (bool_free) {
      free(variable->value);
    }
    store->variables.erase(store->variables.begin() + (variable - store->variables.data()));
  }
}

void erase_trigger_vars(callback_handle_t handle) {
  Store* store = FindStore(handle);
  if (store) {
    for (Variable& variable : store->variables) {
      free(variable.value);
    }
    store->variables.clear();
  }
}

void declare_function(callback_handle_t handle, const char* function_name, function_t function) {
  Store* store = FindStore(handle);
  if (store && function_name && function) {
    store->functions[function_name] = function;
  }
}

void call_function(callback_handle_t handle, const char* function_name) {
  Store* store = FindStore(handle);
  if (store && function_name) {
    store->trigger->CallFromTrigger(function_name);
  }
}

}  // extern "C"

// ---- what TypeScript calls ----

namespace {

uint32_t ListenerId(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Uint32Value(); }

// attachTrigger(listenerId, path): string | undefined, the reason when it is refused
Napi::Value Attach(const Napi::CallbackInfo& info) {
  uint32_t id = ListenerId(info);
  int type = FindTriggerType(id);
  std::string error;
  if (type < 0) {
    return Napi::String::New(info.Env(), "there is no such callback any more");
  }
  Trigger* trigger = Trigger::Load(info[1].As<Napi::String>(), static_cast<callback_type_t>(type), id, &error);
  if (!trigger) {
    return Napi::String::New(info.Env(), error);
  }
  SetTrigger(id, trigger);
  return info.Env().Undefined();
}

// detachTrigger(listenerId)
Napi::Value Detach(const Napi::CallbackInfo& info) {
  SetTrigger(ListenerId(info), nullptr);
  return info.Env().Undefined();
}

// setTriggerVar(listenerId, name, value: bigint | string | Uint8Array)
Napi::Value SetVar(const Napi::CallbackInfo& info) {
  Trigger* trigger = FindTrigger(ListenerId(info));
  std::string name = info[1].As<Napi::String>();
  if (!trigger) {
    return info.Env().Undefined();
  }
  if (info[2].IsBigInt()) {
    bool lossless = false;
    set_var_uint64(trigger->handle(), name.c_str(), info[2].As<Napi::BigInt>().Uint64Value(&lossless));
  } else if (info[2].IsString()) {
    set_var_string(trigger->handle(), name.c_str(), info[2].As<Napi::String>().Utf8Value().c_str());
  } else {
    Napi::Uint8Array bytes = info[2].As<Napi::Uint8Array>();
    set_var_bytes(trigger->handle(), name.c_str(), bytes.Data(), bytes.ByteLength());
  }
  return info.Env().Undefined();
}

// getTriggerVar(listenerId, name): bigint | string | Uint8Array | undefined
Napi::Value GetVar(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Trigger* trigger = FindTrigger(ListenerId(info));
  std::string name = info[1].As<Napi::String>();
  Variable* variable = trigger ? FindVariable(FindStore(trigger->handle()), name.c_str()) : nullptr;
  if (!variable) {
    return env.Undefined();
  }
  switch (variable->kind) {
    case Kind::kPointer:
      return Napi::BigInt::New(env, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(variable->value)));
    case Kind::kUint64: {
      uint64_t value = 0;
      memcpy(&value, variable->value, sizeof(value));
      return Napi::BigInt::New(env, value);
    }
    case Kind::kString: {
      const char* text = static_cast<const char*>(variable->value);
      return Napi::String::New(env, text, strnlen(text, variable->size));
    }
    default: {
      Napi::ArrayBuffer copy = Napi::ArrayBuffer::New(env, variable->size);
      if (variable->size) {
        memcpy(copy.Data(), variable->value, variable->size);
      }
      return Napi::Uint8Array::New(env, variable->size, copy, 0);
    }
  }
}

// callTriggerFunction(listenerId, name): string | undefined, the reason when it cannot be called or has thrown
Napi::Value CallFunction(const Napi::CallbackInfo& info) {
  Trigger* trigger = FindTrigger(ListenerId(info));
  std::string error;
  if (trigger && trigger->Call(info[1].As<Napi::String>(), &error)) {
    return info.Env().Undefined();
  }
  return Napi::String::New(info.Env(), error);
}

// hasTrigger(listenerId): boolean
Napi::Value HasTrigger(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), FindTrigger(ListenerId(info)) != nullptr);
}

}  // namespace

Napi::Object InitTriggers(Napi::Env env, Napi::Object exports) {
  exports.Set("attachTrigger", Napi::Function::New(env, Attach));
  exports.Set("hasTrigger", Napi::Function::New(env, HasTrigger));
  exports.Set("detachTrigger", Napi::Function::New(env, Detach));
  exports.Set("setTriggerVar", Napi::Function::New(env, SetVar));
  exports.Set("getTriggerVar", Napi::Function::New(env, GetVar));
  exports.Set("callTriggerFunction", Napi::Function::New(env, CallFunction));
  return exports;
}
