; Cross-entropy and its gradient behind a softmax, float32, AVX2.
;
;   loss = mean over the rows of  log(sum over c of exp(z[c] - max)) - (z[y] - max)
;   grad = (p - onehot(y)) / rows
;
; The loss is -log p[y], written so that the logarithm sees a sum of at least 1: p[y] itself
; may round to 0. The mean over the batch divides the gradient too, so that the learning
; rate means the same for every size of batch.

%include "network.inc"

    default rel
    section .text

    extern  exp_row_avx2                        ; exp_row_avx2.asm
    extern  log_f32                             ; log.asm

    global  cross_entropy_avx2:function (cross_entropy_avx2.end - cross_entropy_avx2)
    global  cross_entropy_grad_avx2:function (cross_entropy_grad_avx2.end - cross_entropy_grad_avx2)

;   void cross_entropy_avx2(const float *z, const uint8_t *y, float *loss,
;                           int64_t rows, int64_t classes)
;   rdi = z        [rows x classes]
;   rsi = y        [rows]  0 .. classes-1
;   rdx = loss     [1]     the mean
;   rcx = rows     > 0
;   r8  = classes  > 0; 4 bytes of stack for each
;   clobbers what a call may
%define z_row       rbx
%define y           rbp
%define n           r12                         ; the row's number
%define rows        r13
%define classes     r14
%define old_rsp     r15
%define loss        qword [old_rsp - 8]
%define total       dword [old_rsp - 16]        ; of all rows
%define difference  dword [old_rsp - 12]        ; z[y] - max
%define FRAME       16
%define e           rsp                         ; the row's exps, which only count as a sum

cross_entropy_avx2:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     old_rsp, rsp
    mov     z_row, rdi
    mov     y, rsi
    mov     rows, rcx
    mov     classes, r8
    lea     rax, [classes * F32 + FRAME]
    sub     rsp, rax
    and     rsp, -CACHE_LINE                    ; calls are 16-byte aligned
    mov     loss, rdx
    mov     total, 0                            ; 0.0
    xor     n, n

.row:
    mov     rdi, z_row
    mov     rsi, e
    mov     rdx, classes
    call    exp_row_avx2
    vmovshdup xmm1, xmm0                        ; max
    movzx   eax, byte [y + n]
    vmovss  xmm2, [z_row + rax * F32]
    vsubss  xmm2, xmm2, xmm1
    vmovss  difference, xmm2                    ; on the stack: a call keeps no xmm register
    call    log_f32
    vsubss  xmm0, xmm0, difference
    vaddss  xmm0, xmm0, total
    vmovss  total, xmm0
    lea     z_row, [z_row + classes * F32]
    inc     n
    cmp     n, rows
    jl      .row

    vcvtsi2ss xmm1, xmm0, rows
    vdivss  xmm0, xmm0, xmm1
    mov     rax, loss
    vmovss  [rax], xmm0

    mov     rsp, old_rsp
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef z_row
%undef y
%undef n
%undef rows
%undef classes
%undef old_rsp
%undef loss
%undef total
%undef difference
%undef FRAME
%undef e

;   void cross_entropy_grad_avx2(const float *p, const uint8_t *y, float *grad,
;                                int64_t rows, int64_t classes)
;   rdi = p        [rows x classes]  what softmax made of z
;   rsi = y        [rows]            0 .. classes-1
;   rdx = grad     [rows x classes]  d loss / d z
;   rcx = rows     > 0
;   r8  = classes  > 0
;   clobbers rax, rcx, rdx, rdi, rsi, r8-r11, ymm0-3
;
; All p are divided first, as one long row; then the one number of each row whose class is
; the label is computed again, with the 1 taken off.
%define p           rdi
%define y           rsi                         ; the row's label
%define grad        rdx
%define rows        rcx                         ; rows still to do
%define classes     r8
%define all         r9                          ; numbers of p
%define i           r10
%define label       rax                         ; the label's place in p
%define count       ymm0                        ; rows, as a float, in all lanes
%define value       ymm1

cross_entropy_grad_avx2:
    vcvtsi2ss xmm0, xmm0, rows
    vbroadcastss count, xmm0
    mov     all, rows
    imul    all, classes
    xor     i, i
.divide:                                        ; 8 numbers
    lea     r11, [i + 8]
    cmp     r11, all
    jg      .tail
    vmovups value, [p + i * F32]
    vdivps  value, value, count
    vmovups [grad + i * F32], value
    mov     i, r11
    jmp     .divide
.tail:                                          ; 1 number
    cmp     i, all
    jge     .divided
    vmovss  xmm1, [p + i * F32]
    vdivss  xmm1, xmm1, xmm0
    vmovss  [grad + i * F32], xmm1
    inc     i
    jmp     .tail
.divided:

    vmovss  xmm2, [one]
    xor     i, i                                ; the row's first number
.label:
    movzx   eax, byte [y]
    add     label, i
    vmovss  xmm3, [p + label * F32]
    vsubss  xmm3, xmm3, xmm2
    vdivss  xmm3, xmm3, xmm0
    vmovss  [grad + label * F32], xmm3
    add     i, classes
    inc     y
    dec     rows
    jnz     .label
    vzeroupper
    ret
.end:

%undef p
%undef y
%undef grad
%undef rows
%undef classes
%undef all
%undef i
%undef label
%undef count
%undef value

    section .rodata align=4

one:            dd 1.0

    section .note.GNU-stack noalloc noexec nowrite progbits
