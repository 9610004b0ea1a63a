; dx = grad W^T: dx[n][i] = sum over the outputs of grad[n][o] W[i][o], float32, AVX-512.
;
; The lanes of a product run along the rows of its right factor, so W is transposed first,
; on the stack: two moves for each of its numbers, against `rows` multiplications.

%include "network.inc"

    default rel
    section .text

    extern  transpose_avx2                      ; transpose_avx2.asm
    extern  product_avx512                      ; product_avx512.asm

    global  dense_grad_input_avx512:function (dense_grad_input_avx512.end - dense_grad_input_avx512)

;   void dense_grad_input_avx512(const float *grad, const float *W, float *dx,
;                              int64_t rows, int64_t inputs, int64_t outputs)
;   rdi = grad     [rows x outputs]    row stride outputs floats
;   rsi = W        [inputs x outputs]  row stride outputs floats; a copy must fit on the stack
;   rdx = dx       [rows x inputs]     row stride inputs floats
;   rcx = rows     >= 0
;   r8  = inputs   >= 0
;   r9  = outputs  > 0
;   clobbers what a call may
%define grad        rbx
%define dx          rbp
%define rows        r12
%define inputs      r13
%define outputs     r14
%define old_rsp     r15
%define W_t         rsp                         ; [outputs x inputs]

dense_grad_input_avx512:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     grad, rdi
    mov     dx, rdx
    mov     rows, rcx
    mov     inputs, r8
    mov     outputs, r9
    mov     old_rsp, rsp
    mov     rax, inputs
    imul    rax, outputs
    shl     rax, 2                              ; bytes
    sub     rsp, rax
    and     rsp, -CACHE_LINE                    ; calls are 16-byte aligned

    mov     rdi, rsi
    mov     rsi, W_t
    mov     rdx, inputs
    mov     rcx, outputs
    call    transpose_avx2

    mov     rdi, grad
    mov     rsi, W_t
    xor     edx, edx                            ; no bias
    mov     rcx, dx
    mov     r8, rows
    mov     r9, outputs
    lea     rax, [outputs * F32]
    sub     rsp, 8                              ; 4 * 8: calls are 16-byte aligned
    push    F32                                 ; bytes from output to output,
    push    rax                                 ;   from row to row
    push    inputs
    call    product_avx512

    mov     rsp, old_rsp
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef grad
%undef dx
%undef rows
%undef inputs
%undef outputs
%undef old_rsp
%undef W_t

    section .note.GNU-stack noalloc noexec nowrite progbits
