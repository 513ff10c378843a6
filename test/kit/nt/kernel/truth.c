// What the kernel says of itself: a line of JSON on the first serial port for each thing that it does. Numbers are hexadecimal text.
#include "nt.h"

static u32 sequence;

static void put(char c) { __asm__ volatile("outb %0, %1" ::"a"(c), "d"((u16)0x3f8)); }

static void put_text(const char *text) {
  put('"');
  for (; *text; text++) {
    if (*text == '\\' || *text == '"') put('\\');
    put(*text);
  }
  put('"');
}

static void put_number(u64 value) {
  put('"');
  put('0');
  put('x');
  int shift = 60;
  while (shift > 0 && !(value >> shift)) shift -= 4;
  for (; shift >= 0; shift -= 4) put("0123456789abcdef"[(value >> shift) & 15]);
  put('"');
}

void tell_number(const char *key, u64 value) {
  put(',');
  put_text(key);
  put(':');
  put_number(value);
}

void tell_text(const char *key, const char *text) {
  put(',');
  put_text(key);
  put(':');
  put_text(text);
}

void begin_truth(const char *event) {
  put('{');
  put_text("event");
  put(':');
  put_text(event);
  tell_number("seq", sequence++);
}

void end_truth(void) {
  put('}');
  put('\n');
}
