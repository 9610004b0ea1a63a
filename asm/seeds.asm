; Where random numbers begin: weights = draw 1, order = draw 2, dropout = draw 3 of a generator
; that --seed starts.
;
; Each use has a generator of its own, so that one use more, or one that draws more often,
; disturbs none of the others.

%include "buffers.inc"

    default rel
    section .text

    extern  random_u64                          ; random.asm

    global  seed_generators:function (seed_generators.end - seed_generators)

;   void seed_generators(uint64_t seed)
;   rdi = seed
;   writes weight_state, order_state, dropout_state
;   clobbers rax, rcx, rdi
%define seeds       [rsp]                       ; uint64, state of the generator of seeds

seed_generators:
    push    rdi                                 ; 8 + 8: calls are 16-byte aligned
    lea     rdi, seeds
    call    random_u64
    mov     [weight_state], rax
    call    random_u64
    mov     [order_state], rax
    call    random_u64
    mov     [dropout_state], rax
    add     rsp, 8
    ret
.end:

%undef seeds

    section .note.GNU-stack noalloc noexec nowrite progbits
