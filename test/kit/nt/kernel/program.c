// A program: counts how often it was given the processor, and tells the kernel.
volatile unsigned int TimesRun;

__attribute__((noinline)) void CountRun(void) { TimesRun++; }

void start(unsigned long long (*yield)(void), unsigned long long (*delay)(unsigned long long, unsigned long long)) {
  for (;;) {
    CountRun();
    delay(1, TimesRun * 10000ull);
    yield();
  }
}
