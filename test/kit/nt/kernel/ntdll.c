// The library that every program of the test kernel has: begins its first thread, and makes system calls.
__attribute__((naked, dllexport)) unsigned long long NtYieldExecution(void) {
  __asm__("mov %rcx, %r10\n mov $0x46, %eax\n syscall\n ret");
}

__attribute__((dllexport)) void RtlUserThreadStart(void (*start)(unsigned long long (*)(void))) {
  start(NtYieldExecution);
  for (;;) NtYieldExecution();
}

__attribute__((dllexport, noinline)) void LdrInitializeThunk(void *unused, void (*start)(unsigned long long (*)(void))) {
  (void)unused;
  RtlUserThreadStart(start);
}

int DllMain(void) { return 1; }
