#include "guest_events.h"

#include <string>
#include <vector>

#include "dispatch.h"
#include "uint64_value.h"

namespace {

uint64_t NumberWord(const Napi::Value& number) { return static_cast<uint64_t>(number.As<Napi::Number>().Int64Value()); }

// addGuestListener(kind, function, filter?, pgd?): number
Napi::Value AddGuestListener(const Napi::CallbackInfo& info) {
  auto listener = std::make_unique<Listener>();
  listener->kind = info[0].As<Napi::Number>().Int32Value();
  State().calls.Hold(listener->function, info[1]);
  listener->filter = Filter::From(info[2]);
  listener->has_pgd = info[3].IsBigInt();
  if (listener->has_pgd) {
    listener->pgd = ToUint64(info[3]);
  }
  return Napi::Number::New(info.Env(), subscriptions.Add(std::move(listener)));
}

// A scope for calls where the event loop called the addon; one in a callback has the slice's.
class CallScope {
 public:
  CallScope() : own_(!State().calls.HasScope()) {
    if (own_) {
      State().calls.OpenScope();
    }
  }
  ~CallScope() {
    if (own_) {
      State().calls.CloseScope();
    }
  }

 private:
  const bool own_;
};

// Calls the listeners of an event of the guest's system, or the only one. Arguments are made anew for each listener
// unless the event is raised from within JavaScript: the scope may be.
template <typename MakeArguments, typename MakeParams>
void RaiseGuestEvent(int kind, uint64_t pgd, uint32_t only_id, MakeArguments make_arguments, MakeParams make_params) {
  if (State().silent) {
    return;
  }
  CallScope scope;
  GuardedDelivery guarded(State().guard);
  auto make_facts = [&] {
    EventFacts facts;
    facts.pgd = pgd;
    return facts;
  };
  subscriptions.by_kind[kind].Each([&](Listener& listener) {
    if ((only_id && listener.id != only_id) || (listener.has_pgd && rebox_normal_pgd(listener.pgd) != pgd) ||
        IsMuted(listener) || !IsForScript(listener, true, make_facts, make_params)) {
      return;
    }
    State().calls.PrepareScope();
    napi_value made[6];
    size_t count = 0;
    const napi_value* arguments = make_arguments(made, &count);
    Fire(listener, count, arguments);
  });
}

uint32_t OnlyId(const Napi::Value& only) { return only.IsNumber() ? only.As<Napi::Number>().Uint32Value() : 0; }

// raiseProcessEvent(kind, pid, pgd, name, listenerId?): boolean, isListenedTo(kind) afterwards
Napi::Value RaiseProcessEvent(const Napi::CallbackInfo& info) {
  uint64_t pgd = ToUint64(info[2]);
  napi_value arguments[] = {info[1], info[2], info[3]};
  std::string name;
  int kind = info[0].As<Napi::Number>().Int32Value();
  auto give = [&](napi_value*, size_t* count) {
    *count = 3;
    return arguments;
  };
  RaiseGuestEvent(kind, pgd, OnlyId(info[4]), give, [&] {
    name = info[3].As<Napi::String>();
    return TriggerParams{{NumberWord(info[1]), pgd, ToWord(name.data())}};
  });
  return Napi::Boolean::New(info.Env(), subscriptions.by_kind[kind].AnyAlive());
}

// raiseModuleEvent(kind, pid, pgd, base, size, name, fullname, listenerId?): boolean, isListenedTo(kind) afterwards
Napi::Value RaiseModuleEvent(const Napi::CallbackInfo& info) {
  uint64_t pgd = ToUint64(info[2]);
  napi_value arguments[] = {info[1], info[2], info[3], info[4], info[5], info[6]};
  std::string name, fullname;
  int kind = info[0].As<Napi::Number>().Int32Value();
  auto give = [&](napi_value*, size_t* count) {
    *count = 6;
    return arguments;
  };
  RaiseGuestEvent(kind, pgd, OnlyId(info[7]), give, [&] {
    name = info[5].As<Napi::String>();
    fullname = info[6].As<Napi::String>();
    return TriggerParams{{NumberWord(info[1]), pgd, ToUint64(info[3]), NumberWord(info[4]), ToWord(name.data()),
                          ToWord(fullname.data())}};
  });
  return Napi::Boolean::New(info.Env(), subscriptions.by_kind[kind].AnyAlive());
}

// The words of an array of JavaScript's as C has them: text that ends with a zero each, and a null pointer behind them.
class Words {
 public:
  void Take(const Napi::Value& array) {
    auto words = array.As<Napi::Array>();
    for (uint32_t i = 0; i < words.Length(); i++) {
      texts_.push_back(words.Get(i).As<Napi::String>());
    }
    for (std::string& text : texts_) {
      pointers_.push_back(text.data());
    }
    pointers_.push_back(nullptr);
  }
  char** data() { return pointers_.data(); }

 private:
  std::vector<std::string> texts_;
  std::vector<char*> pointers_;
};

// raiseExecEvent(kind, pid, pgd, name, path, argv, envp, listenerId?): boolean, isListenedTo(kind) afterwards
Napi::Value RaiseExecEvent(const Napi::CallbackInfo& info) {
  uint64_t pgd = ToUint64(info[2]);
  napi_value arguments[] = {info[1], info[2], info[3], info[4], info[5], info[6]};
  int kind = info[0].As<Napi::Number>().Int32Value();
  auto give = [&](napi_value*, size_t* count) {
    *count = 6;
    return arguments;
  };
  std::string name, path;
  Words argv, envp;
  bool taken = false;
  RaiseGuestEvent(kind, pgd, OnlyId(info[7]), give, [&] {
    // Only triggers need them, each the same.
    if (!taken) {
      name = info[3].As<Napi::String>();
      path = info[4].As<Napi::String>();
      argv.Take(info[5]);
      envp.Take(info[6]);
      taken = true;
    }
    return TriggerParams{
        {NumberWord(info[1]), pgd, ToWord(name.data()), ToWord(path.data()), ToWord(argv.data()), ToWord(envp.data())}};
  });
  return Napi::Boolean::New(info.Env(), subscriptions.by_kind[kind].AnyAlive());
}

// isListenedTo(kind): boolean
Napi::Value IsListenedTo(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), subscriptions.by_kind[info[0].As<Napi::Number>().Int32Value()].AnyAlive());
}

}  // namespace

void RaiseProcess(int kind, const ToldProcess& process) {
  napi_env env = script_objects.env;
  auto make = [&](napi_value* made, size_t* count) {
    napi_create_int32(env, process.pid, &made[0]);
    made[1] = script_objects.BigInt(process.pgd);
    napi_create_string_utf8(env, process.name.data(), process.name.size(), &made[2]);
    *count = 3;
    return made;
  };
  RaiseGuestEvent(kind, process.pgd, 0, make, [&] {
    uint64_t pid = static_cast<uint64_t>(static_cast<int64_t>(process.pid));
    return TriggerParams{{pid, process.pgd, ToWord(process.name.data())}};
  });
}

Napi::Object InitGuestEvents(Napi::Env env, Napi::Object exports) {
  exports.Set("addGuestListener", Napi::Function::New(env, AddGuestListener));
  exports.Set("raiseProcessEvent", Napi::Function::New(env, RaiseProcessEvent));
  exports.Set("raiseModuleEvent", Napi::Function::New(env, RaiseModuleEvent));
  exports.Set("raiseExecEvent", Napi::Function::New(env, RaiseExecEvent));
  exports.Set("isListenedTo", Napi::Function::New(env, IsListenedTo));
  return exports;
}
