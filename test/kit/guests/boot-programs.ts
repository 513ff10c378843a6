/**
 * Every kind of control flow in one boot sector: conditional and other jumps, loops, calls, returns, indirect jumps, an
 * interrupt with its return, string instructions, and the way from 16-bit to 32-bit code. Ends at `stop`.
 */
export const CONTROL_FLOW = `
  cli
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7a00, %sp
  ljmp $0, $entry
entry:
  movw $handler, 0x200
  movw $0, 0x202
  mov $5, %cx
again:
  dec %cx
  jnz again
  mov $3, %bx
outer:
  mov $2, %cx
inner:
  loop inner
  dec %bx
  jnz outer
  call function
  call *pointer
  mov $target, %ax
  jmp *%ax
  hlt
target:
  int $0x80
  int $0x80
  mov $0x6000, %di
  mov $9, %cx
  xor %ax, %ax
repeat_store:
  rep stosb
  mov $0x6000, %si
  mov $0x6100, %di
  mov $5, %cx
repeat_move:
  rep movsw
  xor %cx, %cx
repeat_nothing:
  rep stosb
  jcxz skip
  hlt
skip:
  test %ax, %ax
  jne wrong
  lgdt descriptor
  mov %cr0, %eax
  or $1, %al
  mov %eax, %cr0
  ljmp $8, $protected
wrong:
  hlt
handler:
  inc %dx
  iret
function:
  call leaf
  ret
leaf:
  cmp $0, %dx
  je leave
  nop
leave:
  ret
.code32
protected:
  mov $16, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7a00, %esp
  mov $4, %ecx
turn:
  push %ecx
  call square
  pop %ecx
  dec %ecx
  jnz turn
stop:
  hlt
  jmp stop
square:
  imul %ecx, %ecx
  ret
pointer:
  .word function
.align 8
table:
  .quad 0
  .quad 0x00cf9a000000ffff
  .quad 0x00cf92000000ffff
descriptor:
  .word 23
  .long table
`;

/**
 * Accesses to memory of every kind, by 16-bit code in a segment that begins at 0, from `begin` to `stop`. What each does
 * is in the processor's manual; memory-truth.test.ts lists it.
 */
export const MEMORY_ACCESS = `
  cli
  cld
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7a00, %sp
  ljmp $0, $entry
entry:
  movw $handler, 0x200
  movw $0, 0x202
  fninit
  mov $0x1111, %ax
  mov $0x2222, %cx
  mov $0x3333, %dx
  mov $0x4444, %bx
  mov $0x5555, %bp
  mov $0x6666, %si
  mov $0x7777, %di
  jmp begin
begin:
  movb $0x5a, 0x6000
  movw $0x1234, 0x6002
  movl $0x89abcdef, 0x6004
  testw $1, 0x6002
  testl $1, 0x6004
  movl $0x01020304, 0x6ffe
  testl $1, 0x6ffe
  push %ax
  pop %ax
  pushaw
  popaw
  lcall $0, $far
far_return:
  mov $0x6000, %si
  mov $0x6100, %di
  mov $3, %cx
  rep movsw
  lock incb 0x6000
  xchg %bx, 0x6002
  movl $0x55667788, 0x6010
  movl $0x11223344, 0x6014
  mov $0x55667788, %eax
  mov $0x11223344, %edx
  mov $0xaaaaaaaa, %ebx
  mov $0xbbbbbbbb, %ecx
  lock cmpxchg8b 0x6010
  enter $4, $0
  leave
  fnstcw 0x6020
  mov $0xb800, %ax
  mov %ax, %es
  movw $0x0741, %es:0
  int $0x80
after:
  nop
stop:
  hlt
  jmp stop
handler:
  iret
far:
  lret
`;
