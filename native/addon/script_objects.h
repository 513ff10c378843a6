// The values that callbacks are called with, made as seldom as possible.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon_state.h"
#include "qemu_glue.h"

// Finds where QEMU keeps a register of 64 bits; nullptr when there is no such vCPU. The place stays.
const uint64_t* FindRegister(int cpu_index, const char* name);

// The arguments for a vCPU that every callback gets. The number has no reference: Node-API holds objects only.
struct CpuArguments {
  Callable object;
  napi_value number = nullptr;
  uint64_t number_scope = 0;
};

struct ScriptObjects {
  napi_env env = nullptr;
  // By index.
  std::vector<std::unique_ptr<CpuArguments>> cpus;
  // By index, of every vCPU: in QEMU's own memory.
  std::vector<const uint64_t*> pcs;
  const uint64_t* pgds = nullptr;
  Callable block_factory;
  // (listenerId, error, cutOff)
  Callable failure_handler;
  // (listenerId, promise)
  Callable promise_handler;

  // objects: one for each vCPU
  void Set(Napi::Env env, const Napi::Array& objects, napi_value block_factory, napi_value failure_handler,
           napi_value promise_handler);

  napi_value CpuObject(int cpu_index) { return State().calls.Get(cpus[cpu_index]->object); }
  napi_value CpuNumber(int cpu_index);
  napi_value BlockObject(rebox_block* block);
  // The translation was thrown away.
  void ForgetBlock(rebox_block* block);

  napi_value BigInt(uint64_t value) {
    napi_value result = nullptr;
    napi_create_bigint_uint64(env, value, &result);
    return result;
  }

  napi_value Number(uint32_t value) {
    napi_value result = nullptr;
    napi_create_uint32(env, value, &result);
    return result;
  }

 private:
  napi_value MakeBlock(rebox_block* block);
};

extern ScriptObjects script_objects;

inline napi_value ScriptObjects::CpuNumber(int cpu_index) {
  CpuArguments& cpu = *cpus[cpu_index];
  ScriptCalls& calls = State().calls;
  if (cpu.number_scope != calls.scope()) {
    napi_create_int32(env, cpu_index, &cpu.number);
    cpu.number_scope = calls.scope_to_remember();
  }
  return cpu.number;
}

inline napi_value ScriptObjects::BlockObject(rebox_block* block) {
  Callable* object = static_cast<Callable*>(block->user);
  return __builtin_expect(object != nullptr, 1) ? State().calls.Get(*object) : MakeBlock(block);
}
