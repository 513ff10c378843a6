#include "script_objects.h"

#include <cstring>

ScriptObjects script_objects;

const uint64_t* FindRegister(int cpu_index, const char* name) {
  size_t count = 0, size = 0;
  const rebox_register* registers = rebox_registers(&count);
  char* state = static_cast<char*>(rebox_cpu_state(cpu_index, &size));
  for (size_t i = 0; state && i < count; i++) {
    if (strcmp(registers[i].name, name) == 0) {
      return reinterpret_cast<uint64_t*>(state + registers[i].offset);
    }
  }
  return nullptr;
}

void ScriptObjects::Set(Napi::Env env, const Napi::Array& objects, napi_value block_factory, napi_value failure_handler,
                        napi_value promise_handler) {
  ScriptCalls& calls = State().calls;
  this->env = env;
  for (uint32_t i = 0; i < objects.Length(); i++) {
    cpus.push_back(std::make_unique<CpuArguments>());
    calls.Hold(cpus.back()->object, objects.Get(i));
    pcs.push_back(FindRegister(i, "RIP"));
  }
  pgds = rebox_current_pgds();
  calls.Hold(this->block_factory, block_factory);
  calls.Hold(this->failure_handler, failure_handler);
  calls.Hold(this->promise_handler, promise_handler);
}

napi_value ScriptObjects::MakeBlock(rebox_block* block) {
  ScriptCalls& calls = State().calls;
  napi_value arguments[3] = {BigInt(block->pc), Number(block->size), Number(block->icount)};
  napi_value undefined, created = nullptr;
  napi_get_undefined(env, &undefined);
  // Not Call(): the factory is rebox's own, does not throw, and its result is needed.
  if (napi_call_function(env, undefined, calls.Get(block_factory), 3, arguments, &created) != napi_ok) {
    napi_get_and_clear_last_exception(env, &created);
    return undefined;
  }
  Callable* object = new Callable;
  calls.Hold(*object, created);
  block->user = object;
  return calls.Get(*object);
}

void ScriptObjects::ForgetBlock(rebox_block* block) {
  Callable* object = static_cast<Callable*>(block->user);
  if (!State().silent) {
    State().calls.Release(*object);
  }
  delete object;
}
