/*
 * Passes a text through memory in several ways, and expands AES keys; says of each which function did it and where the bytes are then:
 * "rebox-guest: passer.NAME=ADDRESS", and of keys "passer.key.SIZE=HEXADECIMAL". The text is in no file: it is made when the program runs.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH = 24, ROUNDS = 5 };

static char text[LENGTH + 1] __attribute__((aligned(16)));
static volatile char one;
static uint8_t box[256];

#define OWN __attribute__((noinline, noclone, optimize("no-tree-vectorize", "no-tree-loop-distribute-patterns")))

/* "passing-word-<pid>-......": nobody else has it. */
OWN static void make_text(void)
{
    static const char hidden[] = "qbttjoh.xpse.";
    int at;

    for (at = 0; hidden[at] != 0; at++) {
        text[at] = hidden[at] - 1;
    }
    snprintf(text + at, sizeof(text) - at, "%05d-end.....", getpid() % 100000);
}

OWN void passer_bytes(char *to, const char *from)
{
    for (int at = 0; at < LENGTH; at++) {
        ((volatile char *)to)[at] = from[at];
    }
}

OWN void passer_words(uint64_t *to, const uint64_t *from)
{
    for (int at = 0; at < LENGTH / 8; at++) {
        ((volatile uint64_t *)to)[at] = from[at];
    }
}

/* From the last one to the first. */
OWN void passer_backwards(char *to, const char *from)
{
    for (int at = LENGTH - 1; at >= 0; at--) {
        ((volatile char *)to)[at] = from[at];
    }
}

OWN void passer_wide(uint16_t *to, const char *from)
{
    for (int at = 0; at < LENGTH; at++) {
        ((volatile uint16_t *)to)[at] = (unsigned char)from[at];
    }
}

/* All of it is never in memory at once. */
OWN void passer_drip(const char *from)
{
    for (int at = 0; at < LENGTH; at++) {
        one = from[at];
    }
}

static void make_box(void)
{
    uint8_t p = 1, q = 1;

    do {
        p = p ^ (p << 1) ^ (p & 0x80 ? 0x1b : 0);
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        q ^= q & 0x80 ? 9 : 0;
        box[p] = q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4) ^ 0x63;
    } while (p != 1);
    box[0] = 0x63;
}

static uint32_t substitute(uint32_t word)
{
    return box[word & 255] | box[word >> 8 & 255] << 8 | box[word >> 16 & 255] << 16 | (uint32_t)box[word >> 24] << 24;
}

/* FIPS 197, 5.2. */
OWN void passer_expand(volatile uint32_t *words, const uint8_t *key, int size)
{
    int own = size / 4, count = 4 * (own + 7);
    uint32_t last = 0, round = 1;

    for (int i = 0; i < count; i++) {
        uint32_t word;

        if (i < own) {
            memcpy(&word, key + 4 * i, 4);
        } else {
            if (i % own == 0) {
                last = substitute(last >> 8 | last << 24) ^ round;
                round = round << 1 ^ (round & 0x80 ? 0x11b : 0);
            } else if (own == 8 && i % own == 4) {
                last = substitute(last);
            }
            word = words[i - own] ^ last;
        }
        words[i] = last = word;
    }
}

int main(void)
{
    char *bytes = calloc(1, 64), *back = calloc(1, 64);
    uint64_t *words = calloc(1, 64);
    uint16_t *wide = calloc(2, 64);
    static uint32_t schedule[60];

    make_text();
    make_box();
    for (int round = 0; round < ROUNDS; round++) {
        passer_bytes(bytes, text);
        passer_words(words, (const uint64_t *)text);
        passer_backwards(back, text);
        passer_wide(wide, text);
        passer_drip(text);
    }
    for (int size = 16; size <= 32; size += 8) {
        uint8_t key[32];

        printf("rebox-guest: passer.key.%d=", size);
        for (int at = 0; at < size; at++) {
            key[at] = (at * 37 + getpid() * 11 + size) ^ box[at];
            printf("%02x", key[at]);
        }
        printf("\n");
        passer_expand(schedule, key, size);
    }
    printf("rebox-guest: passer.pid=%d\n", getpid());
    printf("rebox-guest: passer.text=%s\n", text);
    printf("rebox-guest: passer.bytes=%p\n", (void *)bytes);
    printf("rebox-guest: passer.words=%p\n", (void *)words);
    printf("rebox-guest: passer.backwards=%p\n", (void *)back);
    printf("rebox-guest: passer.wide=%p\n", (void *)wide);
    printf("rebox-guest: passer.rounds=%d\n", ROUNDS);
    return 0;
}
