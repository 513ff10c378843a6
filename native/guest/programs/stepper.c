/*
 * Two processes that share their code and count their own steps, without end.
 *
 * What a step is, instruction by instruction, is below: hooks.test.ts sets hooks there.
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

volatile uint64_t steps __attribute__((aligned(4096)));

void stepper_run(void);
extern const char stepper_step[], stepper_middle[];

__asm__(".text\n"
        ".balign 4096\n"
        ".globl stepper_run, stepper_step, stepper_middle\n"
        "stepper_run:\n"
        "  jmp stepper_step\n"
        /* A block begins here; the counter is what it was when the last step ended. */
        "stepper_step:\n"
        "  nop\n"
        "stepper_middle:\n"
        "  nop\n"
        "  lock incq steps(%rip)\n"
        "  jmp stepper_step\n"
        ".balign 4096\n");

int main(void)
{
    int child = fork();

    if (child != 0) {
        printf("rebox-guest: stepper.step=%p\n", (const void *)stepper_step);
        printf("rebox-guest: stepper.middle=%p\n", (const void *)stepper_middle);
        printf("rebox-guest: stepper.steps=%p\n", (const void *)&steps);
        printf("rebox-guest: stepper.ready=1\n");
        fflush(stdout);
    }
    stepper_run();
    return 0;
}
