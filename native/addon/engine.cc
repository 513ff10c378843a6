#include "engine.h"

#include <cstring>
#include <string>
#include <vector>

#include "addon_state.h"
#include "events.h"
#include "guest_clock.h"
#include "qemu_glue.h"

extern "C" int uv_backend_fd(const struct uv_loop_s* loop);

namespace {

// The time that a slice waits for an idle guest before it gives the thread back: waiting here costs a futex, waiting in
// the event loop a round trip through it.
constexpr int kIdleWaitMs = 2;
constexpr size_t kMessageSize = 8192;

enum class MessageKind { kWake, kRunState, kReset, kEnded, kQmp, kWork };

struct Message {
  MessageKind kind;
  bool flag = false;
  std::string first;
  std::string second;
  napi_ref function = nullptr;
  std::function<void()> work = nullptr;
};

napi_threadsafe_function channel;
Callable handlers;

void Post(Message* message) {
  if (napi_call_threadsafe_function(channel, message, napi_tsfn_nonblocking) != napi_ok) {
    delete message;
  }
}

void OnWake(void*) { Post(new Message{MessageKind::kWake, false, "", "", nullptr, nullptr}); }

void OnRunState(void*, bool running, const char* state) {
  SetGuestClockRuns(running);
  Post(new Message{MessageKind::kRunState, running, state, "", nullptr, nullptr});
}

void OnReset(void*) { Post(new Message{MessageKind::kReset, false, "", "", nullptr, nullptr}); }

void OnEnded(void*, bool crashed, const char* cause, const char* message) {
  Post(new Message{MessageKind::kEnded, crashed, cause, message, nullptr, nullptr});
}

void OnQmp(void* opaque, const char* response) {
  Post(new Message{MessageKind::kQmp, false, response, "", static_cast<napi_ref>(opaque), nullptr});
}

// These functions are rebox's own: what they throw is an error of rebox, and Node shall treat it as uncaught.
void CallOwn(napi_env env, Callable& function, std::vector<napi_value> arguments) {
  ScriptCalls& calls = State().calls;
  napi_value error = nullptr;
  if (calls.Call(function, arguments.size(), arguments.data(), &error) == CallResult::kThrew) {
    napi_fatal_exception(env, error);
  }
}

void Deliver(napi_env env, napi_value, void*, void* data) {
  Message* message = static_cast<Message*>(data);
  if (env) {
    ScriptCalls& calls = State().calls;
    calls.OpenScope();
    Napi::Env wrapped(env);
    Callable function;
    if (message->kind == MessageKind::kQmp) {
      function.reference = message->function;
      CallOwn(env, function, {Napi::String::New(wrapped, message->first)});
      napi_delete_reference(env, message->function);
    } else if (message->kind == MessageKind::kWork) {
      message->work();
    } else {
      static const char* const names[] = {"wake", "runState", "reset", "ended"};
      Napi::Object object(env, calls.Get(handlers));
      calls.Hold(function, object.Get(names[static_cast<int>(message->kind)]));
      CallOwn(env, function,
              {Napi::Boolean::New(wrapped, message->flag), Napi::String::New(wrapped, message->first),
               Napi::String::New(wrapped, message->second)});
      calls.Release(function);
    }
    calls.CloseScope();
  }
  delete message;
}

// start(argv: string[], handlers): {result: number, exitStatus: number, message: string}
Napi::Value Start(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array arguments = info[0].As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < arguments.Length(); i++) {
    texts.push_back(arguments.Get(i).As<Napi::String>());
  }
  // QEMU keeps pointers into argv for its whole life.
  char** argv = new char*[texts.size() + 1];
  for (size_t i = 0; i < texts.size(); i++) {
    argv[i] = strdup(texts[i].c_str());
  }
  argv[texts.size()] = nullptr;

  if (!channel) {
    napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "rebox engine"), 0, 1, nullptr,
                                    nullptr, nullptr, Deliver, &channel);
  }
  State().calls.Hold(handlers, info[1]);
  rebox_engine_events events = {nullptr, OnWake, OnRunState, OnReset, OnEnded};
  std::vector<char> message(kMessageSize);
  int exit_status = 0;
  rebox_start_result result =
      rebox_engine_start(static_cast<int>(texts.size()), argv, &events, &exit_status, message.data(), message.size());
  if (result == REBOX_START_OK) {
    uv_loop_s* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    State().guard.Start(&State().calls, uv_backend_fd(loop));
  } else if (result == REBOX_START_EXITED) {
    napi_release_threadsafe_function(channel, napi_tsfn_abort);
  }
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("result", Napi::Number::New(env, result));
  answer.Set("exitStatus", Napi::Number::New(env, exit_status));
  answer.Set("message", Napi::String::New(env, message.data()));
  return answer;
}

// slice(): number (rebox_slice_result)
Napi::Value Slice(const Napi::CallbackInfo& info) {
  AddonState& state = State();
  state.guard.BeginSlice();
  state.calls.OpenScope();
  rebox_slice_result result = rebox_engine_slice(kIdleWaitMs);
  HandOverStreams();
  state.calls.CloseScope();
  state.guard.EndSlice();
  return Napi::Number::New(info.Env(), result);
}

// qmp(request: string, done: (response: string) => void): void
Napi::Value Qmp(const Napi::CallbackInfo& info) {
  napi_ref done = nullptr;
  napi_create_reference(info.Env(), info[1], 1, &done);
  rebox_qmp(info[0].As<Napi::String>().Utf8Value().c_str(), OnQmp, done);
  return info.Env().Undefined();
}

Napi::Value Quit(const Napi::CallbackInfo& info) {
  rebox_engine_quit();
  return info.Env().Undefined();
}

Napi::Value StaysStopped(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), rebox_engine_stays_stopped());
}

// endNow(timeoutMs: number): boolean
Napi::Value EndNow(const Napi::CallbackInfo& info) {
  State().silent = true;
  return Napi::Boolean::New(info.Env(), rebox_engine_end_now(info[0].As<Napi::Number>().Int32Value()));
}

// release(): lets the process end; after the end was reported.
Napi::Value Release(const Napi::CallbackInfo& info) {
  State().guard.Stop();
  napi_release_threadsafe_function(channel, napi_tsfn_release);
  State().calls.Release(handlers);
  return info.Env().Undefined();
}

Napi::Value SetCallbackLimit(const Napi::CallbackInfo& info) {
  State().guard.set_callback_limit_ms(info[0].As<Napi::Number>().Uint32Value());
  return Napi::Boolean::New(info.Env(), State().calls.can_cut_off());
}

Napi::Value RemoveOnFault(const Napi::CallbackInfo& info) {
  rebox_engine_remove_on_fault(info[0].As<Napi::String>().Utf8Value().c_str());
  return info.Env().Undefined();
}

}  // namespace

void PostToEventLoop(std::function<void()> work) {
  Post(new Message{MessageKind::kWork, false, "", "", nullptr, std::move(work)});
}

Napi::Object InitEngine(Napi::Env env, Napi::Object exports) {
  exports.Set("start", Napi::Function::New(env, Start));
  exports.Set("slice", Napi::Function::New(env, Slice));
  exports.Set("qmp", Napi::Function::New(env, Qmp));
  exports.Set("quit", Napi::Function::New(env, Quit));
  exports.Set("staysStopped", Napi::Function::New(env, StaysStopped));
  exports.Set("endNow", Napi::Function::New(env, EndNow));
  exports.Set("release", Napi::Function::New(env, Release));
  exports.Set("setCallbackLimitMs", Napi::Function::New(env, SetCallbackLimit));
  exports.Set("removeOnFault", Napi::Function::New(env, RemoveOnFault));
  return exports;
}
