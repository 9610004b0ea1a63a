; Which implementation of each kernel runs.
;
; The pass calls through these pointers. Every implementation takes the same arguments; the
; set for the best instructions that the processor has is chosen when the program starts, or
; the one that --isa names.

%include "exit.inc"
%include "cpu.inc"

    default rel

    extern  cpu_isa                             ; cpu.asm
    extern  isa                                 ; options.asm
    extern  fail                                ; fail.asm
    extern  strcmp

    global  choose_kernels:function (choose_kernels.end - choose_kernels)

    section .bss align=8

; KERNEL name: the pointer to a kernel
%macro KERNEL 1
    global  %1:data (%1.end - %1)
%1:
    resq    1
%1.end:
%endmacro

chosen:
    KERNEL  scale_pixels                        ; x = pixel / 255
    KERNEL  dense                               ; z = x W + b
    KERNEL  dense_sparse                        ; the same where most of x is zero
    KERNEL  relu                                ; h = max(z, 0)
    KERNEL  softmax                             ; p = exp(z) / sum of exp(z)
    KERNEL  cross_entropy                       ; loss = mean of -log p[y]
    KERNEL  cross_entropy_grad                  ; its gradient behind a softmax
    KERNEL  relu_grad                           ; dz = grad where z > 0
    KERNEL  dense_grad_weight                   ; dW = x^T grad
    KERNEL  dense_grad_bias                     ; dbias = sum of grad
    KERNEL  dense_grad_input                    ; dx = grad W^T
    KERNEL  dropout_mask                        ; mask = 0 or 1 / (1 - rate), drawn
    KERNEL  dropout                             ; h *= mask
    KERNEL  weight_decay                        ; grad += decay * param
    KERNEL  sgd                                 ; param -= rate * grad
    KERNEL  sgd_momentum                        ; v = momentum * v + grad, param -= rate * v
    KERNEL  dense_grad_weight_sgd               ; W -= rate * x^T grad where most of x is zero
KERNELS         equ ($ - chosen) / 8

    KERNEL  kernels_name                        ; const char *, for the settings

; IMPLEMENTATIONS isa: the addresses in the order of the pointers
%macro IMPLEMENTATIONS 1
    extern  scale_pixels_%1
    extern  dense_%1, dense_sparse_%1, relu_%1
    extern  softmax_%1, cross_entropy_%1, cross_entropy_grad_%1
    extern  relu_grad_%1, dense_grad_weight_%1, dense_grad_bias_%1, dense_grad_input_%1
    extern  dropout_mask_%1, dropout_%1
    extern  weight_decay_%1, sgd_%1, sgd_momentum_%1, dense_grad_weight_sgd_%1
    dq      scale_pixels_%1
    dq      dense_%1, dense_sparse_%1, relu_%1
    dq      softmax_%1, cross_entropy_%1, cross_entropy_grad_%1
    dq      relu_grad_%1, dense_grad_weight_%1, dense_grad_bias_%1, dense_grad_input_%1
    dq      dropout_mask_%1, dropout_%1
    dq      weight_decay_%1, sgd_%1, sgd_momentum_%1, dense_grad_weight_sgd_%1
%endmacro

    section .rodata align=8

implementations:                                ; [ISA][KERNELS]
    IMPLEMENTATIONS sse2
    IMPLEMENTATIONS avx2
    IMPLEMENTATIONS avx512
implementations_end:
%if implementations_end - implementations != (ISA_AVX512 + 1) * KERNELS * 8
    %error every pointer needs an implementation for each instruction set
%endif

isa_names:          dq sse2_name, avx2_name, avx512_name  ; what --isa understands
kernel_names:       dq sse2_kernels, avx2_kernels, avx512_kernels  ; what the settings say

auto_name:          db "auto", 0
sse2_name:          db "sse2", 0
avx2_name:          db "avx2", 0
avx512_name:        db "avx512", 0
sse2_kernels:       db "SSE2", 0
avx2_kernels:       db "AVX2 and FMA", 0
avx512_kernels:     db "AVX-512", 0

not_isa:            db "--isa '%s': wanted auto, sse2, avx2 or avx512; see --help", 0
lacking:            db "--isa %s: this machine has no %s, the best here is --isa %s", 0

    section .text

;   void choose_kernels(void)
;   reads  isa
;   writes the pointers to the kernels, kernels_name
;   ends the program if there is no such instruction set, or not on this machine
;   clobbers what a call may
%define best        rbx                         ; what the machine can do
%define choice      rbp
%define names       r12

choose_kernels:
    push    rbx
    push    rbp
    push    r12                                 ; 8 + 3 * 8: calls are 16-byte aligned
    call    cpu_isa
    mov     best, rax
    mov     choice, rax
    mov     rdi, [isa]
    lea     rsi, [auto_name]
    call    strcmp
    test    eax, eax
    jz      .chosen

    lea     names, [isa_names]
    mov     choice, ISA_AVX512
.name:
    mov     rdi, [isa]
    mov     rsi, [names + choice * 8]
    call    strcmp
    test    eax, eax
    jz      .named
    dec     choice
    jns     .name
    mov     edi, EXIT_OPTIONS
    lea     rsi, [not_isa]
    mov     rdx, [isa]
    call    fail
.named:
    cmp     choice, best
    jg      .lacking

.chosen:
    lea     rax, [kernel_names]
    mov     rax, [rax + choice * 8]
    mov     [kernels_name], rax
    imul    rax, choice, KERNELS * 8
    lea     rsi, [implementations]
    add     rsi, rax
    lea     rdi, [chosen]
    mov     ecx, KERNELS
    rep movsq
    pop     r12
    pop     rbp
    pop     rbx
    ret

.lacking:
    mov     edi, EXIT_OPTIONS
    lea     rsi, [lacking]
    mov     rdx, [isa]
    lea     rax, [kernel_names]
    mov     rcx, [rax + choice * 8]
    mov     r8, [names + best * 8]
    call    fail
.end:

%undef best
%undef choice
%undef names

    section .note.GNU-stack noalloc noexec nowrite progbits
