; Cross-entropy and its gradient behind a softmax, float32, SSE2.
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

    extern  exp_f32                             ; exp.asm
    extern  log_f32                             ; log.asm
    extern  row_max                             ; row_max.asm

    global  cross_entropy_sse2:function (cross_entropy_sse2.end - cross_entropy_sse2)
    global  cross_entropy_grad_sse2:function (cross_entropy_grad_sse2.end - cross_entropy_grad_sse2)

;   void cross_entropy_sse2(const float *z, const uint8_t *y, float *loss,
;                           int64_t rows, int64_t classes)
;   rdi = z        [rows x classes]
;   rsi = y        [rows]  0 .. classes-1
;   rdx = loss     [1]     the mean
;   rcx = rows     > 0
;   r8  = classes  > 0
;   clobbers what a call may
%define z           rbx                         ; the row
%define y           rbp
%define n           r12                         ; the row's number
%define classes     r13
%define c           r14
%define loss        r15
%define max         dword [rsp]                 ; on the stack: a call keeps no xmm register
%define sum         dword [rsp + 4]             ; of one row
%define total       dword [rsp + 8]             ; of all rows
%define rows        qword [rsp + 16]

cross_entropy_sse2:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    sub     rsp, 24                             ; 8 + 6 * 8 + 24: calls are 16-byte aligned
    mov     z, rdi
    mov     y, rsi
    mov     loss, rdx
    mov     rows, rcx
    mov     classes, r8
    mov     total, 0                            ; 0.0
    xor     n, n

.row:
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
    addss   xmm0, sum
    movss   sum, xmm0
    inc     c
    cmp     c, classes
    jl      .exp

    movss   xmm0, sum
    call    log_f32
    movzx   eax, byte [y + n]
    movss   xmm1, [z + rax * F32]
    subss   xmm1, max
    subss   xmm0, xmm1                          ; log(sum) - (z[y] - max)
    addss   xmm0, total
    movss   total, xmm0
    lea     z, [z + classes * F32]
    inc     n
    cmp     n, rows
    jl      .row

    movss   xmm0, total
    cvtsi2ss xmm1, rows
    divss   xmm0, xmm1
    movss   [loss], xmm0

    add     rsp, 24
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef z
%undef y
%undef n
%undef classes
%undef c
%undef loss
%undef max
%undef sum
%undef total
%undef rows

;   void cross_entropy_grad_sse2(const float *p, const uint8_t *y, float *grad,
;                                int64_t rows, int64_t classes)
;   rdi = p        [rows x classes]  what softmax made of z
;   rsi = y        [rows]            0 .. classes-1
;   rdx = grad     [rows x classes]  d loss / d z
;   rcx = rows     > 0
;   r8  = classes  > 0
;   clobbers rax, rcx, rdx, rdi, rsi, r9, xmm0-2
%define p           rdi                         ; the row
%define y           rsi                         ; the row's label
%define grad        rdx                         ; the row
%define rows        rcx                         ; rows still to do
%define classes     r8
%define c           rax
%define label       r9
%define count       xmm1                        ; rows, as a float
%define value       xmm0
%define target      xmm2                        ; 1.0

cross_entropy_grad_sse2:
    cvtsi2ss count, rows
    movss   target, [one]

.row:
    movzx   r9d, byte [y]
    xor     c, c
.class:
    movss   value, [p + c * F32]
    cmp     c, label
    jne     .divide
    subss   value, target
.divide:
    divss   value, count
    movss   [grad + c * F32], value
    inc     c
    cmp     c, classes
    jl      .class

    lea     p, [p + classes * F32]
    lea     grad, [grad + classes * F32]
    inc     y
    dec     rows
    jnz     .row
    ret
.end:

%undef p
%undef y
%undef grad
%undef rows
%undef classes
%undef c
%undef label
%undef count
%undef value
%undef target

    section .rodata align=4

one:            dd 1.0

    section .note.GNU-stack noalloc noexec nowrite progbits
