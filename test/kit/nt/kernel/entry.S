# Where the processor enters the kernel, and leaves it. Windows' calling convention: RCX, RDX, R8, R9, 32 bytes above them.
  .text
  .globl KiSystemCall64
  .globl KiEnterUser
  .globl KiDivideErrorFault
  .globl KiLoadDescriptors

# Called by programs: number in RAX, arguments in R10, RDX, R8, R9 and on the program's stack; a result that gives the
# processor up is 0xffff0000. The kernel's own stack begins where KiEnterUser left it.
# The stack has what the processor pushes for an interrupt, so that unwind data leads back to the program, as in Windows.
  .seh_proc KiSystemCall64
KiSystemCall64:
  .seh_pushframe
  swapgs
  mov %rsp, %gs:0x10
  mov KiKernelStack(%rip), %rsp
  push $0x2b
  push %gs:0x10
  push %r11
  push $0x33
  push %rcx
  sub $48, %rsp
  .seh_stackalloc 48
  .seh_endprologue
  mov %gs:0x10, %rcx
  mov %rcx, 40(%rsp)
  mov %r9, 32(%rsp)
  mov %r8, %r9
  mov %rdx, %r8
  mov %r10, %rdx
  mov %rax, %rcx
  call KiSystemService
  add $48, %rsp
  mov $0xffff0000, %ecx
  cmp %rcx, %rax
  je leave
  pop %rcx
  add $8, %rsp
  pop %r11
  pop %rsp
  swapgs
  sysretq
  .seh_endproc

# The thread gives the processor up: back to the caller of KiEnterUser, with the place to continue at.
leave:
  mov KiContinueAt(%rip), %rcx
  pop %rax
  mov %rax, (%rcx)
  add $16, %rsp
  pop %rax
  mov %rax, 8(%rcx)
  add $8, %rsp
  mov %rbx, 32(%rcx)
  mov %rbp, 40(%rcx)
  mov %rsi, 48(%rcx)
  mov %rdi, 56(%rcx)
  mov %r12, 64(%rcx)
  mov %r13, 72(%rcx)
  mov %r14, 80(%rcx)
  mov %r15, 88(%rcx)
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rdi
  pop %rsi
  pop %rbp
  pop %rbx
  ret

# KiEnterUser(place): continues a program at place[0] with the stack place[1], until it gives the processor up.
KiEnterUser:
  push %rbx
  push %rbp
  push %rsi
  push %rdi
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rcx, KiContinueAt(%rip)
  mov %rsp, KiKernelStack(%rip)
  push $0x2b
  pushq 8(%rcx)
  push $0x2
  push $0x33
  pushq (%rcx)
  mov 32(%rcx), %rbx
  mov 40(%rcx), %rbp
  mov 48(%rcx), %rsi
  mov 56(%rcx), %rdi
  mov 64(%rcx), %r12
  mov 72(%rcx), %r13
  mov 80(%rcx), %r14
  mov 88(%rcx), %r15
  mov 16(%rcx), %rdx
  mov 24(%rcx), %rcx
  swapgs
  iretq

KiDivideErrorFault:
  mov (%rsp), %rcx
  mov 8(%rsp), %rdx
  sub $40, %rsp
  call KeBugCheck

# KiLoadDescriptors(gdt, idt)
KiLoadDescriptors:
  lgdt (%rcx)
  lidt (%rdx)
  mov $0x18, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  pop %rax
  push $0x10
  push %rax
  lretq

  .bss
  .globl KiKernelStack
  .globl KiContinueAt
KiKernelStack:
  .skip 8
KiContinueAt:
  .skip 8
