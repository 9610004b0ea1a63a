; What the program says while it trains: the settings, a line per epoch, the test.

%include "network.inc"

    default rel
    section .text

    extern  printf
    extern  data_directory, epochs, seed, learning_rate, no_shuffle  ; options.asm
    extern  train_count, test_count             ; dataset.asm
    extern  kernels_name                        ; kernels.asm

    global  print_settings:function (print_settings.end - print_settings)
    global  print_epoch:function (print_epoch.end - print_epoch)
    global  print_test:function (print_test.end - print_test)

;   void print_settings(void)
;   clobbers what a call may
print_settings:
    sub     rsp, 8                              ; calls are 16-byte aligned

    lea     rdi, [network_line]
    mov     esi, INPUTS
    mov     edx, HIDDEN1
    mov     ecx, HIDDEN2
    mov     r8d, CLASSES
    xor     eax, eax
    call    printf

    lea     rdi, [data_line]
    mov     rsi, [data_directory]
    mov     rdx, [train_count]
    mov     rcx, [test_count]
    xor     eax, eax
    call    printf

    lea     rdi, [training_line]
    mov     rsi, [epochs]
    mov     edx, BATCH
    cvtss2sd xmm0, [learning_rate]
    mov     eax, 1                              ; one vector register is in use
    call    printf

    lea     rdi, [random_line]
    mov     rsi, [seed]
    lea     rdx, [shuffled]
    cmp     qword [no_shuffle], 0
    je      .order
    lea     rdx, [unshuffled]
.order:
    xor     eax, eax
    call    printf

    lea     rdi, [kernels_line]
    mov     rsi, [kernels_name]
    xor     eax, eax
    call    printf

    add     rsp, 8
    ret
.end:

;   void print_epoch(uint64_t number, double mean_loss, double seconds)
;   rdi  = number     from 1
;   xmm0 = mean_loss
;   xmm1 = seconds
;   clobbers what a call may
print_epoch:
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rsi, rdi
    mov     rdx, [epochs]
    lea     rdi, [epoch_line]
    mov     eax, 2                              ; two vector registers are in use
    call    printf
    add     rsp, 8
    ret
.end:

;   void print_test(double mean_loss, uint64_t correct, uint64_t count)
;   xmm0 = mean_loss
;   rdi  = correct
;   rsi  = count      > 0
;   clobbers what a call may
%define correct     rdi
%define count       rsi

print_test:
    sub     rsp, 8                              ; calls are 16-byte aligned
    imul    rax, correct, 100                   ; per cent
    cvtsi2sd xmm1, rax
    cvtsi2sd xmm2, count
    divsd   xmm1, xmm2
    mov     rdx, count
    mov     rsi, correct
    lea     rdi, [test_line]
    mov     eax, 2                              ; two vector registers are in use
    call    printf
    add     rsp, 8
    ret
.end:

%undef correct
%undef count

    section .rodata

network_line:
    db  "network   %u-%u-%u-%u, ReLU, softmax, cross-entropy, SGD, float32", 10, 0
data_line:
    db  "data      %s, %lu training and %lu test samples", 10, 0
training_line:
    db  "training  %lu epochs, batch %lu, learning rate %g", 10, 0
random_line:
    db  "random    seed %lu, %s", 10, 0
shuffled:
    db  "shuffled every epoch", 0
unshuffled:
    db  "in the order of the file", 0
kernels_line:
    db  "kernels   %s", 10, 0
epoch_line:
    db  "epoch %3lu/%lu  loss %.6f  %.3f s", 10, 0
test_line:
    db  "test  loss %.6f  accuracy %.2f %% (%lu of %lu)", 10, 0

    section .note.GNU-stack noalloc noexec nowrite progbits
