#include "triggers.h"

#include <dlfcn.h>

#include <exception>
#include <memory>

#include "trigger_store.h"

namespace {

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
      "EXEC_CB",
      "CPUID_CB",
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

// Within a catch: describes what a trigger has thrown.
static std::string DescribeThrown() {
  try {
    throw;
  } catch (const std::exception& thrown) {
    return std::string("a C++ exception, ") + thrown.what();
  } catch (...) {
    return "a C++ exception";
  }
}

Trigger* Trigger::Load(const std::string& path, callback_type_t type, uint32_t listener_id, ThrownHandler on_thrown,
                       std::string* error) {
  std::unique_ptr<Trigger> trigger(new Trigger);
  trigger->on_thrown_ = on_thrown;
  trigger->listener_id_ = listener_id;
  callback_type_t (*get_type)() = nullptr;
  trigger->library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!trigger->library_) {
    *error = dlerror();
    return nullptr;
  }
  void* library = trigger->library_;
  auto version = static_cast<const uint32_t*>(dlsym(library, "rebox_trigger_api_version"));
  if (!version) {
    // A source for PyREBox: triggers/pyrebox/callbacks.h says it in its place.
    version = static_cast<const uint32_t*>(dlsym(library, "rebox_trigger_api_version_of_headers"));
  }
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
  if (type == MEM_READ_CB || type == MEM_WRITE_CB) {
    trigger->sieve_ = reinterpret_cast<rebox_access_sieve>(dlsym(library, "sieve"));
  }
  trigger->is_of_monitored_ = dlsym(library, "rebox_trigger_of_monitored") != nullptr;
  FindCpus();
  trigger->handle_ = NewTriggerStore(trigger.get());
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
  EraseTriggerStore(handle_);
  dlclose(library_);
  delete this;
}

void Trigger::OnThrown() {
  on_thrown_(this, listener_id_,
             "its trigger has thrown " + DescribeThrown() + ", and was removed: nothing may leave a trigger");
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
  TriggerStore* store = FindTriggerStore(handle_);
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
  TriggerStore* store = FindTriggerStore(handle_);
  auto found = store->functions.find(name);
  if (found != store->functions.end()) {
    Run(found->second);
  }
}
