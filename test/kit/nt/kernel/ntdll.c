// The library that every program of the test kernel has: begins its first thread, and makes system calls.
typedef unsigned long long u64;

__attribute__((naked, dllexport)) u64 NtYieldExecution(void) { __asm__("mov %rcx, %r10\n mov $0x46, %eax\n syscall\n ret"); }

__attribute__((naked, dllexport)) u64 NtDelayExecution(u64 is_alertable, u64 interval) {
  __asm__("mov %rcx, %r10\n mov $0x34, %eax\n syscall\n ret");
}

typedef void start_function(u64 (*yield)(void), u64 (*delay)(u64, u64));

__attribute__((dllexport)) void RtlUserThreadStart(start_function *start) {
  start(NtYieldExecution, NtDelayExecution);
  for (;;) NtYieldExecution();
}

__attribute__((dllexport, noinline)) void LdrInitializeThunk(void *unused, start_function *start) {
  (void)unused;
  RtlUserThreadStart(start);
}

int DllMain(void) { return 1; }
