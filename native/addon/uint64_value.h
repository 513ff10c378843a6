// A bigint of JavaScript as the 64 bits that it stands for.
#pragma once

#include <napi.h>

#include <cstdint>

// Zero when value is no bigint.
inline uint64_t ToUint64(const Napi::Value& value) {
  bool lossless = false;
  uint64_t result = 0;
  napi_get_value_bigint_uint64(value.Env(), value, &result, &lossless);
  return result;
}
