; dbias[o] = sum over the batch of grad[n][o], float32, SSE2.
;
; Four columns at a time, down the batch; then the columns that are left, one by one.

%include "network.inc"

    default rel
    section .text

    global  dense_grad_bias_sse2:function (dense_grad_bias_sse2.end - dense_grad_bias_sse2)

;   void dense_grad_bias_sse2(const float *grad, float *dbias, int64_t rows, int64_t outputs)
;   rdi = grad     [rows x outputs]  row stride outputs floats
;   rsi = dbias    [outputs]
;   rdx = rows     > 0
;   rcx = outputs  >= 0
;   clobbers rax, rcx, rdi, rsi, r8, r9, xmm0, xmm1
%define grad        rdi                         ; the column in row 0
%define dbias       rsi
%define rows        rdx
%define outputs     rcx                         ; columns still to do
%define stride      r8                          ; bytes from row to row
%define grad_n      r9                          ; the column in row n
%define n           rax                         ; rows still to add
%define sum         xmm0
%define term        xmm1

dense_grad_bias_sse2:
    lea     stride, [outputs * F32]

.four:
    sub     outputs, 4
    jl      .tail
    mov     grad_n, grad
    xorps   sum, sum
    mov     n, rows
.four_n:
    movups  term, [grad_n]
    addps   sum, term
    add     grad_n, stride
    dec     n
    jnz     .four_n
    movups  [dbias], sum
    add     grad, 4 * F32
    add     dbias, 4 * F32
    jmp     .four

.tail:
    add     outputs, 4                          ; what the last subtraction took too much
.one:
    jz      .done
    mov     grad_n, grad
    xorps   sum, sum
    mov     n, rows
.one_n:
    addss   sum, [grad_n]
    add     grad_n, stride
    dec     n
    jnz     .one_n
    movss   [dbias], sum
    add     grad, F32
    add     dbias, F32
    dec     outputs
    jmp     .one

.done:
    ret
.end:

%undef grad
%undef dbias
%undef rows
%undef outputs
%undef stride
%undef grad_n
%undef n
%undef sum
%undef term

    section .note.GNU-stack noalloc noexec nowrite progbits
