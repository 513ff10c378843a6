// The address spaces of a Linux guest that have been told of, as long as they are.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <unordered_map>

struct ToldProcess {
  // Counts what has been told, so that they can be listed in order.
  uint64_t number = 0;
  int32_t pid = 0;
  uint64_t pgd = 0;
  std::string name;
};

// By the address of the mm_struct. Both sides use it: ProcessHook, and TypeScript for what that does not decide.
extern std::unordered_map<uint64_t, ToldProcess> told_processes;

// Keeps bounds: more address spaces than a kernel can have processes (PID_MAX_LIMIT) are none, and are forgotten.
void TellProcess(uint64_t mm, ToldProcess process);

Napi::Object InitProcessTable(Napi::Env env, Napi::Object exports);
