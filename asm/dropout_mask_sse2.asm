; mask = 0 where a draw in 0 <= r < 1 is under the rate, else 1 / (1 - rate), float32, SSE2.
;
; What stays is enlarged here ("inverted dropout"), so that a number is on average what it
; would be without dropout, and the test needs no factor. Source: Srivastava et al.,
; "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).

%include "network.inc"

    default rel
    section .text

    extern  random_unit                         ; random.asm

    global  dropout_mask_sse2:function (dropout_mask_sse2.end - dropout_mask_sse2)

;   void dropout_mask_sse2(float *mask, uint64_t *state, int64_t count, float rate)
;   rdi  = mask   [count]
;   rsi  = state  [1]  of the random generator, read and written
;   rdx  = count  >= 0
;   xmm0 = rate   0 <= rate < 1
;   clobbers what a call may
%define mask        rbx                         ; the next number
%define state       rbp
%define count       r12                         ; numbers still to draw
%define rate        dword [rsp]
%define scale       dword [rsp + 4]             ; 1 / (1 - rate)

dropout_mask_sse2:
    push    rbx
    push    rbp
    push    r12
    sub     rsp, 16                             ; 8 + 3 * 8 + 16: calls are 16-byte aligned
    mov     mask, rdi
    mov     state, rsi
    mov     count, rdx
    movss   rate, xmm0
    movss   xmm1, [one]
    movss   xmm2, xmm1
    subss   xmm2, xmm0
    divss   xmm1, xmm2
    movss   scale, xmm1

.loop:
    dec     count
    js      .done
    mov     rdi, state
    call    random_unit
    cmpltss xmm0, rate                          ; all bits where it is dropped
    movss   xmm1, scale
    andnps  xmm0, xmm1
    movss   [mask], xmm0
    add     mask, F32
    jmp     .loop

.done:
    add     rsp, 16
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef mask
%undef state
%undef count
%undef rate
%undef scale

    section .rodata align=4

one:            dd 1.0

    section .note.GNU-stack noalloc noexec nowrite progbits
