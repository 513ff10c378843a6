#include "machine.h"

#include <vector>

#include "qemu_glue.h"
#include "uint64_value.h"

namespace {

// ArrayBuffers are limited to 4 GiB in some versions of V8; the guest's RAM is not.
constexpr uint64_t kLargestBuffer = UINT64_C(1) << 30;

uint64_t last_fault;

struct Bytes {
  void* data = nullptr;
  size_t size = 0;
};

Bytes ToBytes(const Napi::Value& value) {
  Bytes bytes;
  napi_typedarray_type type;
  napi_get_typedarray_info(value.Env(), value, &type, &bytes.size, &bytes.data, nullptr, nullptr);
  return bytes;
}

Napi::Value External(Napi::Env env, void* data, size_t size) {
  napi_value buffer = nullptr;
  // The memory lives as long as the process: nothing to do when the buffer is collected.
  napi_create_external_arraybuffer(
      env, data, size, [](napi_env, void*, void*) {}, nullptr, &buffer);
  return Napi::Value(env, buffer);
}

Napi::Value CpuCount(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), rebox_cpu_count()); }

// registers(): {name, offset, size, computed, writable}[]
Napi::Value Registers(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  size_t count = 0;
  const rebox_register* registers = rebox_registers(&count);
  Napi::Array list = Napi::Array::New(env, count);
  for (size_t i = 0; i < count; i++) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", registers[i].name);
    entry.Set("offset", Napi::Number::New(env, registers[i].offset));
    entry.Set("size", Napi::Number::New(env, registers[i].size));
    entry.Set("computed", Napi::Boolean::New(env, registers[i].kind == REBOX_REGISTER_COMPUTED));
    entry.Set("writable", Napi::Boolean::New(env, registers[i].writable));
    list.Set(i, entry);
  }
  return list;
}

// cpuState(cpuIndex): ArrayBuffer over QEMU's own state of the vCPU
Napi::Value CpuState(const Napi::CallbackInfo& info) {
  size_t size = 0;
  void* state = rebox_cpu_state(info[0].As<Napi::Number>().Int32Value(), &size);
  return state ? External(info.Env(), state, size) : info.Env().Undefined();
}

// readRegister(cpuIndex, id): bigint
Napi::Value ReadRegister(const Napi::CallbackInfo& info) {
  uint64_t value = 0;
  if (!rebox_register_read(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Uint32Value(), &value)) {
    return info.Env().Undefined();
  }
  return Napi::BigInt::New(info.Env(), value);
}

// writeRegister(cpuIndex, id, value): boolean
Napi::Value WriteRegister(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(),
                            rebox_register_write(info[0].As<Napi::Number>().Int32Value(),
                                                 info[1].As<Napi::Number>().Uint32Value(), ToUint64(info[2])));
}

// writeSegment(cpuIndex, segment, selector, base, limit, flags): boolean
Napi::Value WriteSegment(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(
      info.Env(),
      rebox_segment_write(info[0].As<Napi::Number>().Int32Value(),
                          static_cast<rebox_segment>(info[1].As<Napi::Number>().Int32Value()),
                          info[2].As<Napi::Number>().Uint32Value(), ToUint64(info[3]),
                          info[4].As<Napi::Number>().Uint32Value(), info[5].As<Napi::Number>().Uint32Value()));
}

// readPhysical(address, into: Uint8Array): number (rebox_memory_result)
Napi::Value ReadPhysical(const Napi::CallbackInfo& info) {
  Bytes into = ToBytes(info[1]);
  return Napi::Number::New(info.Env(), rebox_read_physical(ToUint64(info[0]), into.data, into.size, &last_fault));
}

Napi::Value WritePhysical(const Napi::CallbackInfo& info) {
  Bytes from = ToBytes(info[1]);
  return Napi::Number::New(info.Env(), rebox_write_physical(ToUint64(info[0]), from.data, from.size, &last_fault));
}

// readVirtual(cpuIndex, pgd, address, into: Uint8Array): number (rebox_memory_result)
Napi::Value ReadVirtual(const Napi::CallbackInfo& info) {
  Bytes into = ToBytes(info[3]);
  return Napi::Number::New(info.Env(), rebox_read_virtual(info[0].As<Napi::Number>().Int32Value(), ToUint64(info[1]),
                                                          ToUint64(info[2]), into.data, into.size, &last_fault));
}

Napi::Value WriteVirtual(const Napi::CallbackInfo& info) {
  Bytes from = ToBytes(info[3]);
  return Napi::Number::New(info.Env(), rebox_write_virtual(info[0].As<Napi::Number>().Int32Value(), ToUint64(info[1]),
                                                           ToUint64(info[2]), from.data, from.size, &last_fault));
}

// lastFault(): bigint, the address at which the last failed read or write failed
Napi::Value LastFault(const Napi::CallbackInfo& info) { return Napi::BigInt::New(info.Env(), last_fault); }

// translate(cpuIndex, pgd, address): bigint | undefined
Napi::Value Translate(const Napi::CallbackInfo& info) {
  uint64_t physical = 0, page_size = 0;
  if (!rebox_translate(info[0].As<Napi::Number>().Int32Value(), ToUint64(info[1]), ToUint64(info[2]), &physical,
                       &page_size)) {
    return info.Env().Undefined();
  }
  return Napi::BigInt::New(info.Env(), physical);
}

// ramRegions(): {address: bigint, buffer: ArrayBuffer, hostAddress: bigint, readOnly: boolean, isMain: boolean}[]
Napi::Value RamRegions(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::vector<rebox_ram_region> regions(rebox_ram_regions(nullptr, 0) + 8);
  regions.resize(rebox_ram_regions(regions.data(), regions.size()));
  Napi::Array list = Napi::Array::New(env);
  uint32_t count = 0;
  for (const rebox_ram_region& region : regions) {
    for (uint64_t offset = 0; offset < region.size; offset += kLargestBuffer) {
      uint64_t rest = region.size - offset;
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("address", Napi::BigInt::New(env, region.address + offset));
      entry.Set("buffer",
                External(env, static_cast<char*>(region.host) + offset, rest < kLargestBuffer ? rest : kLargestBuffer));
      entry.Set("hostAddress",
                Napi::BigInt::New(env, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(region.host)) + offset));
      entry.Set("readOnly", Napi::Boolean::New(env, region.read_only));
      entry.Set("isMain", Napi::Boolean::New(env, region.is_main));
      list.Set(count++, entry);
    }
  }
  return list;
}

// readPort(port, size): number
Napi::Value ReadPort(const Napi::CallbackInfo& info) {
  return Napi::Number::New(
      info.Env(), rebox_port_read(info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Int32Value()));
}

Napi::Value WritePort(const Napi::CallbackInfo& info) {
  rebox_port_write(info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Int32Value(),
                   info[2].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

}  // namespace

Napi::Object InitMachine(Napi::Env env, Napi::Object exports) {
  exports.Set("cpuCount", Napi::Function::New(env, CpuCount));
  exports.Set("registers", Napi::Function::New(env, Registers));
  exports.Set("cpuState", Napi::Function::New(env, CpuState));
  exports.Set("readRegister", Napi::Function::New(env, ReadRegister));
  exports.Set("writeRegister", Napi::Function::New(env, WriteRegister));
  exports.Set("writeSegment", Napi::Function::New(env, WriteSegment));
  exports.Set("readPhysical", Napi::Function::New(env, ReadPhysical));
  exports.Set("writePhysical", Napi::Function::New(env, WritePhysical));
  exports.Set("readVirtual", Napi::Function::New(env, ReadVirtual));
  exports.Set("writeVirtual", Napi::Function::New(env, WriteVirtual));
  exports.Set("lastFault", Napi::Function::New(env, LastFault));
  exports.Set("translate", Napi::Function::New(env, Translate));
  exports.Set("ramRegions", Napi::Function::New(env, RamRegions));
  exports.Set("readPort", Napi::Function::New(env, ReadPort));
  exports.Set("writePort", Napi::Function::New(env, WritePort));
  return exports;
}
