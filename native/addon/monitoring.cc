#include "monitoring.h"

#include "qemu_glue.h"
#include "uint64_value.h"

namespace {

Napi::Value Monitor(const Napi::CallbackInfo& info) {
  rebox_monitor(ToUint64(info[0]));
  return info.Env().Undefined();
}

Napi::Value Unmonitor(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), rebox_unmonitor(ToUint64(info[0]), info[1].As<Napi::Boolean>()));
}

Napi::Value IsMonitored(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), rebox_is_monitored(ToUint64(info[0])));
}

Napi::Value CurrentPgd(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), rebox_current_pgd(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Value NormalPgd(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), rebox_normal_pgd(ToUint64(info[0])));
}

// tellIsolation(bits?): undefined when nothing is known any more
Napi::Value TellIsolation(const Napi::CallbackInfo& info) {
  rebox_tell_isolation(info[0].IsBigInt(), ToUint64(info[0]));
  return info.Env().Undefined();
}

Napi::Value CountBlocks(const Napi::CallbackInfo& info) {
  rebox_count_blocks(info[0].As<Napi::Boolean>());
  return info.Env().Undefined();
}

Napi::Value BlockCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(rebox_block_count()));
}

}  // namespace

Napi::Object InitMonitoring(Napi::Env env, Napi::Object exports) {
  exports.Set("monitor", Napi::Function::New(env, Monitor));
  exports.Set("unmonitor", Napi::Function::New(env, Unmonitor));
  exports.Set("isMonitored", Napi::Function::New(env, IsMonitored));
  exports.Set("currentPgd", Napi::Function::New(env, CurrentPgd));
  exports.Set("normalPgd", Napi::Function::New(env, NormalPgd));
  exports.Set("tellIsolation", Napi::Function::New(env, TellIsolation));
  exports.Set("countBlocks", Napi::Function::New(env, CountBlocks));
  exports.Set("blockCount", Napi::Function::New(env, BlockCount));
  return exports;
}
