; W = W - rate x^T grad where most of x is zero, float32, SSE2: the gradient of a layer's
; weights and their update in one, and the gradient itself is never stored.
;
; Row i of the gradient is the sum of the rows grad[n] times x[n][i]. A sample with
; x[n][i] = 0 adds nothing, so only the others are visited: for each input a mask of 64
; samples, its lowest bit the next one. The masks are made for 4 inputs at a time, sample by
; sample: one comparison, and a bit for those lanes that are not zero. 32 outputs, a quarter
; of a row of the first layer, are summed in 8 registers; outputs that do not fill them go one
; by one. An input that is zero in every sample, as the borders of the images are, leaves its
; row of W as it was.

%include "network.inc"

LANES           equ 4                           ; inputs whose masks are made together
VECTOR          equ LANES * F32                 ; bytes
PANEL           equ 32 * F32                    ; bytes of a row that are summed at a time
WORD_SAMPLES    equ 32                          ; one bit each in a lane of 32 bits
BLOCK           equ 2 * WORD_SAMPLES            ; samples of a mask
BLOCK_BYTES     equ 2 * VECTOR                  ; the lower halves of 4 masks, then the upper

    default rel
    section .text

    global  dense_grad_weight_sgd_sse2:function \
            (dense_grad_weight_sgd_sse2.end - dense_grad_weight_sgd_sse2)

;   void dense_grad_weight_sgd_sse2(const float *x, const float *grad, float *W,
;                                   int64_t rows, int64_t inputs, int64_t outputs,
;                                   float rate)
;   rdi  = x        [rows x inputs]     row stride inputs floats
;   rsi  = grad     [rows x outputs]    row stride outputs floats
;   rdx  = W        [inputs x outputs]  row stride outputs floats, read and written
;   rcx  = rows     > 0; half a byte of stack for each
;   r8   = inputs   >= 0
;   r9   = outputs  >= 0
;   xmm0 = rate     the learning rate
;   clobbers rax, rcx, rdx, rdi, r8, r9, r10, r11, xmm0-11
%define x           rdi                         ; &x[0][group's first input]
%define grad        rsi
%define W           rdx                         ; the input's row
%define inputs      r8                          ; inputs still to do
%define stride      r10                         ; bytes from row to row, of grad and W
%define x_stride    r11                         ; bytes from sample to sample
%define bits        rax                         ; samples still to add
%define column      rbx                         ; bytes
%define i           r12                         ; input of the group
%define mask        r13                         ; of this input and block of samples
%define x_i         r14                         ; &x[block's first sample][i]
%define grad_n      r15                         ; &grad[block's first sample][column]
%define t           rbp
%define n           r9
%define any         rcx                         ; not 0: a sample has been added
%define rate        xmm8
%define x_ni        xmm9                        ; x[n][i] in all lanes
%define t_f         xmm10
%define zero        xmm9                        ; while the masks are made: 0,
%define bit         xmm10                       ;   this sample's bit,
%define made        xmm11                       ;   the lower or upper halves of the masks,
%define is_nonzero  xmm0
%define old_rsp     qword [rsp]
%define rows        qword [rsp + 8]
%define masks_end   qword [rsp + 16]
%define group       qword [rsp + 24]            ; inputs in this group
%define FRAME       CACHE_LINE
%define masks       rsp + FRAME                 ; [blocks][2][LANES] of 32 bits

; ADD_TERM grad, sum: adds x[n][i] grad[n][...] to 4 outputs
; .nolist: a debugger then names the line that uses it
%macro ADD_TERM 2.nolist
    movups  t_f, %1
    mulps   t_f, x_ni
    addps   %2, t_f
%endmacro

; UPDATE W, sum: W - rate * sum for 4 outputs
%macro UPDATE 2.nolist
    mulps   %2, rate
    movups  t_f, %1
    subps   t_f, %2
    movups  %1, t_f
%endmacro

dense_grad_weight_sgd_sse2:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    lea     stride, [r9 * F32]
    lea     x_stride, [inputs * F32]
    movaps  rate, xmm0
    shufps  rate, rate, 0

    mov     t, rsp
    lea     rax, [rcx + BLOCK - 1]
    shr     rax, 6                              ; blocks
    shl     rax, 5                              ; bytes of masks
    lea     n, [rax + FRAME]
    sub     rsp, n
    and     rsp, -CACHE_LINE
    mov     old_rsp, t
    mov     rows, rcx
    lea     t, [masks + rax]
    mov     masks_end, t

.group:                                         ; 4 inputs or what is left
    test    inputs, inputs
    jle     .done
    mov     eax, LANES
    cmp     inputs, rax
    cmovl   rax, inputs
    mov     group, rax
    xorps   zero, zero
    lea     mask, [masks]
    mov     x_i, x
    mov     n, rows
.word:                                          ; 32 samples or what is left, maybe none
    xorps   made, made
    mov     eax, 1
    movd    bit, eax
    pshufd  bit, bit, 0
    mov     eax, WORD_SAMPLES
    cmp     n, rax
    cmovl   rax, n
    sub     n, rax
    test    rax, rax
    jz      .word_made
    cmp     group, LANES
    jl      .word_n_tail
.word_n:
    movups  is_nonzero, [x_i]
    cmpneqps is_nonzero, zero                   ; also NaN: only zeros may be left out
    andps   is_nonzero, bit
    orps    made, is_nonzero
    pslld   bit, 1
    add     x_i, x_stride
    dec     rax
    jnz     .word_n
    jmp     .word_made
.word_n_tail:                                   ; 1 to 3 inputs: behind them may be no memory
    movss   is_nonzero, [x_i]
    cmp     group, 2
    jl      .word_loaded
    movss   xmm1, [x_i + F32]
    unpcklps is_nonzero, xmm1
    je      .word_loaded
    movss   xmm1, [x_i + 2 * F32]
    movlhps is_nonzero, xmm1
.word_loaded:
    cmpneqps is_nonzero, zero
    andps   is_nonzero, bit
    orps    made, is_nonzero
    pslld   bit, 1
    add     x_i, x_stride
    dec     rax
    jnz     .word_n_tail
.word_made:
    movaps  [mask], made
    add     mask, VECTOR
    cmp     mask, masks_end
    jb      .word

    xor     i, i
.input:
    xor     column, column
.panel:                                         ; 32 outputs
    lea     t, [column + PANEL]
    cmp     t, stride
    jg      .tail
    xorps   xmm0, xmm0
    xorps   xmm1, xmm1
    xorps   xmm2, xmm2
    xorps   xmm3, xmm3
    xorps   xmm4, xmm4
    xorps   xmm5, xmm5
    xorps   xmm6, xmm6
    xorps   xmm7, xmm7
    xor     any, any
    lea     mask, [masks + i * 4]
    lea     x_i, [x + i * F32]
    lea     grad_n, [grad + column]
.panel_block:
    mov     ebp, [mask + VECTOR]
    shl     t, WORD_SAMPLES
    mov     eax, [mask]
    or      bits, t
    jz      .panel_next
    mov     any, bits
.panel_n:
    bsf     n, bits
    mov     t, n
    imul    t, x_stride
    movss   x_ni, [x_i + t]
    shufps  x_ni, x_ni, 0
    imul    n, stride
    add     n, grad_n
    ADD_TERM [n], xmm0
    ADD_TERM [n + 16], xmm1
    ADD_TERM [n + 32], xmm2
    ADD_TERM [n + 48], xmm3
    ADD_TERM [n + 64], xmm4
    ADD_TERM [n + 80], xmm5
    ADD_TERM [n + 96], xmm6
    ADD_TERM [n + 112], xmm7
    lea     t, [bits - 1]
    and     bits, t                             ; without its lowest one
    jnz     .panel_n
.panel_next:
    mov     t, x_stride
    shl     t, 6                                ; BLOCK samples
    add     x_i, t
    mov     t, stride
    shl     t, 6
    add     grad_n, t
    add     mask, BLOCK_BYTES
    cmp     mask, masks_end
    jb      .panel_block
    test    any, any
    jz      .panel_done
    lea     t, [W + column]
    UPDATE  [t], xmm0
    UPDATE  [t + 16], xmm1
    UPDATE  [t + 32], xmm2
    UPDATE  [t + 48], xmm3
    UPDATE  [t + 64], xmm4
    UPDATE  [t + 80], xmm5
    UPDATE  [t + 96], xmm6
    UPDATE  [t + 112], xmm7
.panel_done:
    add     column, PANEL
    jmp     .panel

.tail:                                          ; 1 output
    cmp     column, stride
    jge     .next_input
    xorps   xmm0, xmm0
    xor     any, any
    lea     mask, [masks + i * 4]
    lea     x_i, [x + i * F32]
    lea     grad_n, [grad + column]
.tail_block:
    mov     ebp, [mask + VECTOR]
    shl     t, WORD_SAMPLES
    mov     eax, [mask]
    or      bits, t
    jz      .tail_next
    mov     any, bits
.tail_n:
    bsf     n, bits
    mov     t, n
    imul    t, x_stride
    imul    n, stride
    movss   x_ni, [x_i + t]
    mulss   x_ni, [grad_n + n]
    addss   xmm0, x_ni
    lea     t, [bits - 1]
    and     bits, t                             ; without its lowest one
    jnz     .tail_n
.tail_next:
    mov     t, x_stride
    shl     t, 6                                ; BLOCK samples
    add     x_i, t
    mov     t, stride
    shl     t, 6
    add     grad_n, t
    add     mask, BLOCK_BYTES
    cmp     mask, masks_end
    jb      .tail_block
    test    any, any
    jz      .tail_done
    mulss   xmm0, rate
    movss   t_f, [W + column]
    subss   t_f, xmm0
    movss   [W + column], t_f
.tail_done:
    add     column, F32
    jmp     .tail

.next_input:
    add     W, stride
    inc     i
    cmp     i, group
    jl      .input
    add     x, LANES * F32
    sub     inputs, LANES
    jmp     .group

.done:
    mov     rsp, old_rsp
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef x
%undef grad
%undef W
%undef inputs
%undef stride
%undef x_stride
%undef bits
%undef column
%undef i
%undef mask
%undef x_i
%undef grad_n
%undef t
%undef n
%undef any
%undef rate
%undef x_ni
%undef t_f
%undef zero
%undef bit
%undef made
%undef is_nonzero
%undef old_rsp
%undef rows
%undef masks_end
%undef group
%undef FRAME
%undef masks

    section .note.GNU-stack noalloc noexec nowrite progbits
