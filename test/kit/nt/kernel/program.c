// A program: counts how often it was given the processor.
volatile unsigned int TimesRun;

__attribute__((noinline)) void CountRun(void) { TimesRun++; }

void start(unsigned long long (*yield)(void)) {
  for (;;) {
    CountRun();
    yield();
  }
}
