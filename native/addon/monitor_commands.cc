#include "monitor_commands.h"

#include <string>

#include "addon_state.h"
#include "engine.h"
#include "qemu_glue.h"

namespace {

Callable server;
bool is_served = false;
napi_env server_env = nullptr;

// Node's thread.
void Execute(uint64_t id, bool for_person, const std::string& command, const std::string& arguments) {
  if (!is_served) {
    // The end of the service has answered the command.
    return;
  }
  ScriptCalls& calls = State().calls;
  napi_value values[] = {Napi::Number::New(server_env, static_cast<double>(id)),
                         Napi::Boolean::New(server_env, for_person), Napi::String::New(server_env, command),
                         Napi::String::New(server_env, arguments)};
  napi_value error = nullptr;
  if (calls.Call(server, 4, values, &error) == CallResult::kThrew) {
    napi_fatal_exception(server_env, error);
  }
}

// QEMU's main-loop thread.
void OnRequest(void*, uint64_t id, bool for_person, const char* command, const char* arguments) {
  PostToEventLoop([id, for_person, command = std::string(command), arguments = std::string(arguments)] {
    Execute(id, for_person, command, arguments);
  });
}

// serveCommands(execute: (id, isForPerson, command, arguments) => void, timeoutMs: number): void
Napi::Value ServeCommands(const Napi::CallbackInfo& info) {
  if (is_served) {
    State().calls.Release(server);
  }
  server_env = info.Env();
  State().calls.Hold(server, info[0]);
  is_served = true;
  const rebox_command_server native_server = {nullptr, OnRequest};
  rebox_commands_serve(&native_server, info[1].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

Napi::Value EndCommands(const Napi::CallbackInfo& info) {
  if (is_served) {
    is_served = false;
    State().calls.Release(server);
    rebox_commands_serve(nullptr, 0);
  }
  return info.Env().Undefined();
}

// answerCommand(id: number, isFailed: boolean, text: string): void
Napi::Value AnswerCommand(const Napi::CallbackInfo& info) {
  rebox_command_answer(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()), info[1].As<Napi::Boolean>(),
                       info[2].As<Napi::String>().Utf8Value().c_str());
  return info.Env().Undefined();
}

// setCommandWords(modules: string, names: string): void
Napi::Value SetCommandWords(const Napi::CallbackInfo& info) {
  rebox_command_words(info[0].As<Napi::String>().Utf8Value().c_str(), info[1].As<Napi::String>().Utf8Value().c_str());
  return info.Env().Undefined();
}

}  // namespace

Napi::Object InitMonitorCommands(Napi::Env env, Napi::Object exports) {
  exports.Set("serveCommands", Napi::Function::New(env, ServeCommands));
  exports.Set("endCommands", Napi::Function::New(env, EndCommands));
  exports.Set("answerCommand", Napi::Function::New(env, AnswerCommand));
  exports.Set("setCommandWords", Napi::Function::New(env, SetCommandWords));
  return exports;
}
