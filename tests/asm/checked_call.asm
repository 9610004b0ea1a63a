; Calls a kernel the way nobody does, and sees whether it keeps the rules of the ABI.
;
;   uint64_t checked_call(void *kernel, const uint64_t arguments[8], float first, float second)
;   rdi  = kernel
;   rsi  = arguments  six for the registers, the seventh for the stack; the eighth is the
;                     instruction set, as in cpu.inc, whose registers are poisoned
;   xmm0 = first      the kernel's float arguments
;   xmm1 = second
;   returns 0, or a bit for each rule that was broken: 0-5 rbx rbp r12-r15, 6 rsp,
;   7 the direction flag, 8 the stack behind the arguments, 9 no vzeroupper

%include "cpu.inc"

    default rel
    section .text

    global  checked_call:function (checked_call.end - checked_call)

POISON          equ 0x5a5a5a5a5a5a5a00

checked_call:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    sub     rsp, 8
    mov     [saved_rsp], rsp

    mov     r11, rdi
    mov     rax, POISON + 8
    push    rax                                 ; a canary behind the stack's argument
    push    qword [rsi + 6 * 8]

    movss   [first], xmm0                       ; the other lanes there are no numbers
    movss   [second], xmm1
    mov     rax, [rsi + 7 * 8]
    mov     [isa], rax
    cmp     rax, ISA_AVX2                       ; registers hold no zeros by chance
    je      .poison_avx2
    jg      .poison_avx512
    movaps  xmm0, [first]
    movaps  xmm1, [second]
%assign number 2
%rep 14
    movaps  xmm %+ number, [not_numbers]
%assign number number + 1
%endrep
    jmp     .poisoned
.poison_avx2:
    vmovaps ymm0, [first]
    vmovaps ymm1, [second]
%assign number 2
%rep 14
    vmovaps ymm %+ number, [not_numbers]
%assign number number + 1
%endrep
    jmp     .poisoned
.poison_avx512:
    vmovaps zmm0, [first]
    vmovaps zmm1, [second]
%assign number 2
%rep 30
    vmovaps zmm %+ number, [not_numbers]
%assign number number + 1
%endrep
%assign number 0
%rep 8
    kxnorq  k %+ number, k0, k0
%assign number number + 1
%endrep
.poisoned:
    mov     rbx, POISON
    mov     rbp, POISON + 1
    mov     r12, POISON + 2
    mov     r13, POISON + 3
    mov     r14, POISON + 4
    mov     r15, POISON + 5
    mov     rax, POISON + 6
    mov     r10, POISON + 7
    mov     rdi, [rsi]
    mov     rdx, [rsi + 2 * 8]
    mov     rcx, [rsi + 3 * 8]
    mov     r8, [rsi + 4 * 8]
    mov     r9, [rsi + 5 * 8]
    mov     rsi, [rsi + 8]
    call    r11

    xor     eax, eax
    cmp     qword [isa], ISA_AVX2
    jl      .upper_halves_are_zero
    vorps   ymm15, ymm15, ymm0                  ; poisoned before, cleared by vzeroupper
    vextractf128 xmm15, ymm15, 1
    vptest  xmm15, xmm15
    vzeroupper
    jz      .upper_halves_are_zero
    bts     eax, 9
.upper_halves_are_zero:
    mov     rcx, POISON
    mov     rdx, rbx
    call    .bit
    inc     rcx
    mov     rdx, rbp
    call    .bit
    inc     rcx
    mov     rdx, r12
    call    .bit
    inc     rcx
    mov     rdx, r13
    call    .bit
    inc     rcx
    mov     rdx, r14
    call    .bit
    inc     rcx
    mov     rdx, r15
    call    .bit
    inc     rcx
    lea     rdx, [rsp + 16]
    cmp     rdx, [saved_rsp]
    mov     rdx, rcx
    je      .same_rsp
    inc     rdx
.same_rsp:
    call    .bit
    inc     rcx
    pushfq
    pop     rdi
    mov     rdx, rcx
    test    edi, 1 << 10
    jz      .upwards
    inc     rdx
.upwards:
    call    .bit
    cld
    inc     rcx
    mov     rdx, [saved_rsp]
    mov     rdx, [rdx - 8]
    call    .bit

    mov     rsp, [saved_rsp]
    add     rsp, 8
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

.bit:                                           ; sets bit cl of rax unless rdx is rcx
    cmp     rdx, rcx
    je      .kept
    bts     rax, rcx                            ; the low six bits: POISON has none of its own
.kept:
    ret
.end:

    section .data align=64

not_numbers:    times 16 dd 0x7fc00000
first:          times 16 dd 0x7fc00000
second:         times 16 dd 0x7fc00000
saved_rsp:      dq 0
isa:            dq 0

    section .note.GNU-stack noalloc noexec nowrite progbits
