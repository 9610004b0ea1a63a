; p[c] = exp(z[c] - max) / (exp(z[0] - max) + ... ), row by row, float32, AVX2.
;
; Taking the largest z off changes nothing on paper and keeps every exp in 0..1: without it
; one z above 88 makes the sum infinite and the row NaN.

%include "network.inc"

    default rel
    section .text

    extern  exp_row_avx2                        ; exp_row_avx2.asm

    global  softmax_avx2:function (softmax_avx2.end - softmax_avx2)

;   void softmax_avx2(const float *z, float *p, int64_t rows, int64_t classes)
;   rdi = z        [rows x classes]
;   rsi = p        [rows x classes]
;   rdx = rows     >= 0
;   rcx = classes  > 0
;   clobbers what a call may
%define z_row       rbx
%define p_row       rbp
%define rows        r12                         ; rows still to do
%define classes     r13
%define left        rcx                         ; classes still to divide
%define sum         ymm0                        ; in all lanes
%define value       ymm1

softmax_avx2:
    push    rbx
    push    rbp
    push    r12
    push    r13
    sub     rsp, 8                              ; 8 + 4 * 8 + 8: calls are 16-byte aligned
    mov     z_row, rdi
    mov     p_row, rsi
    mov     rows, rdx
    mov     classes, rcx

.row:
    test    rows, rows
    jz      .done
    mov     rdi, z_row
    mov     rsi, p_row
    mov     rdx, classes
    call    exp_row_avx2
    vbroadcastss sum, xmm0
    mov     left, classes
.divide:                                        ; 8 classes
    sub     left, 8
    jl      .tail
    vmovups value, [p_row]
    vdivps  value, value, sum
    vmovups [p_row], value
    add     p_row, 8 * F32
    jmp     .divide
.tail:
    add     left, 8                             ; what the last subtraction took too much
.one:
    jz      .next
    vmovss  xmm1, [p_row]
    vdivss  xmm1, xmm1, xmm0
    vmovss  [p_row], xmm1
    add     p_row, F32
    dec     left
    jmp     .one
.next:
    lea     z_row, [z_row + classes * F32]
    dec     rows
    jmp     .row

.done:
    add     rsp, 8
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    vzeroupper
    ret
.end:

%undef z_row
%undef p_row
%undef rows
%undef classes
%undef left
%undef sum
%undef value

    section .note.GNU-stack noalloc noexec nowrite progbits
