; p[c] = exp(z[c] - max) / (exp(z[0] - max) + ... ), row by row, float32, SSE2.
;
; Taking the largest z off changes nothing on paper and keeps every exp in 0..1: without it
; one z above 88 makes the sum infinite and the row NaN.

%include "network.inc"

    default rel
    section .text

    extern  exp_f32                             ; exp.asm
    extern  row_max                             ; row_max.asm

    global  softmax_sse2:function (softmax_sse2.end - softmax_sse2)

;   void softmax_sse2(const float *z, float *p, int64_t rows, int64_t classes)
;   rdi = z        [rows x classes]
;   rsi = p        [rows x classes]
;   rdx = rows     >= 0
;   rcx = classes  > 0
;   clobbers what a call may
%define z           rbx                         ; the row
%define p           rbp                         ; the row
%define rows        r12                         ; rows still to do
%define classes     r13
%define c           r14
%define max         dword [rsp]                 ; on the stack: a call keeps no xmm register
%define sum         dword [rsp + 4]

softmax_sse2:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    sub     rsp, 16                             ; 8 + 5 * 8 + 16: calls are 16-byte aligned
    mov     z, rdi
    mov     p, rsi
    mov     rows, rdx
    mov     classes, rcx

.row:
    test    rows, rows
    jz      .done
    mov     rdi, z
    mov     rsi, classes
    call    row_max
    movss   max, xmm0
    mov     sum, 0                              ; 0.0
    xor     c, c
.exp:
    movss   xmm0, [z + c * F32]
    subss   xmm0, max
    call    exp_f32
    movss   [p + c * F32], xmm0
    addss   xmm0, sum
    movss   sum, xmm0
    inc     c
    cmp     c, classes
    jl      .exp

    xor     c, c
.divide:
    movss   xmm0, [p + c * F32]
    divss   xmm0, sum
    movss   [p + c * F32], xmm0
    inc     c
    cmp     c, classes
    jl      .divide

    lea     z, [z + classes * F32]
    lea     p, [p + classes * F32]
    dec     rows
    jmp     .row

.done:
    add     rsp, 16
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef z
%undef p
%undef rows
%undef classes
%undef c
%undef max
%undef sum

    section .note.GNU-stack noalloc noexec nowrite progbits
