; SplitMix64: state += golden gamma; output = a mix of the state's bits.
;
; The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
; OOPSLA 2014. One 64-bit word of state, any seed is good, and the same seed gives the same
; numbers everywhere.

%include "random.inc"

    default rel
    section .text

    global  random_u64:function (random_u64.end - random_u64)
    global  random_unit:function (random_unit.end - random_unit)
    global  random_below:function (random_below.end - random_below)

;   uint64_t random_u64(uint64_t *state)
;   rdi = state  [1]  read and written
;   returns 64 random bits in rax
;   clobbers rax, rcx
%define state       rdi
%define bits        rax
%define t           rcx

random_u64:
    mov     bits, GOLDEN
    add     bits, [state]
    mov     [state], bits
    mov     t, bits
    shr     t, MIX_SHIFT1
    xor     bits, t
    mov     t, MIX_FACTOR1
    imul    bits, t
    mov     t, bits
    shr     t, MIX_SHIFT2
    xor     bits, t
    mov     t, MIX_FACTOR2
    imul    bits, t
    mov     t, bits
    shr     t, MIX_SHIFT3
    xor     bits, t
    ret
.end:

%undef state
%undef bits
%undef t

;   float random_unit(uint64_t *state)
;   rdi = state  [1]  read and written
;   returns a number in 0 <= r < 1 in xmm0, a multiple of 2^-24: each is a float32 exactly
;   clobbers rax, rcx, xmm0
random_unit:
    sub     rsp, 8                              ; calls are 16-byte aligned
    call    random_u64
    shr     rax, 40                             ; the upper 24 bits
    cvtsi2ss xmm0, rax
    mulss   xmm0, [two_to_minus_24]
    add     rsp, 8
    ret
.end:

;   uint64_t random_below(uint64_t *state, uint64_t limit)
;   rdi = state  [1]  read and written
;   rsi = limit  > 0
;   returns a whole number in 0 .. limit-1 in rax
;   clobbers rax, rcx, rdx
;
; The bits, read as a fraction of 1, times the limit: the upper half of a 128-bit product.
; Some results are likelier than others by limit / 2^64, far below what can be noticed.
random_below:
    sub     rsp, 8                              ; calls are 16-byte aligned
    call    random_u64
    mul     rsi
    mov     rax, rdx
    add     rsp, 8
    ret
.end:

    section .rodata align=4

two_to_minus_24:
                dd 0x1p-24

    section .note.GNU-stack noalloc noexec nowrite progbits
