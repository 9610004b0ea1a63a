; What the program says while it trains: the settings, a line per epoch, the test.

%include "network.inc"
%include "update.inc"

    default rel
    section .text

    extern  printf, putchar
    extern  data_directory, epochs, batch_size, seed, shuffle_on  ; options.asm
    extern  learning_rate, momentum, decay, dropout_rate, init_scheme, load_path
    extern  train_count, test_count             ; dataset.asm
    extern  kernels_name                        ; kernels.asm
    extern  epoch                               ; _start.asm
    extern  test_loss, correct, confusion       ; evaluate.asm

    global  print_settings:function (print_settings.end - print_settings)
    global  print_epoch:function (print_epoch.end - print_epoch)
    global  print_test:function (print_test.end - print_test)
    global  print_confusion:function (print_confusion.end - print_confusion)

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
    mov     rdx, [batch_size]
    cvtss2sd xmm0, [learning_rate]
    mov     eax, 1                              ; one vector register is in use
    call    printf

    lea     rdi, [rules_line]
    cvtss2sd xmm0, [momentum]
    cvtss2sd xmm1, [decay]
    cvtss2sd xmm2, [dropout_rate]
    mov     eax, 3                              ; three vector registers are in use
    call    printf

    lea     rax, [weights_lines]
    mov     rcx, [init_scheme]
    mov     rdi, [rax + rcx * 8]
    mov     rsi, [load_path]                    ; wanted only where they are loaded
    xor     eax, eax
    call    printf

    lea     rdi, [random_line]
    mov     rsi, [seed]
    lea     rdx, [shuffled]
    cmp     qword [shuffle_on], 0
    jne     .order
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

;   void print_epoch(double mean_loss, double seconds)
;   xmm0 = mean_loss
;   xmm1 = seconds
;   clobbers what a call may
print_epoch:
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rsi, [epoch]
    inc     rsi                                 ; people count from 1
    mov     rdx, [epochs]
    lea     rdi, [epoch_line]
    mov     eax, 2                              ; two vector registers are in use
    call    printf
    add     rsp, 8
    ret
.end:

;   void print_test(void)
;   what evaluate found: loss and accuracy, then the confusion matrix
;   clobbers what a call may
print_test:
    sub     rsp, 8                              ; calls are 16-byte aligned
    movsd   xmm0, [test_loss]
    imul    rax, [correct], 100                 ; per cent
    cvtsi2sd xmm1, rax
    cvtsi2sd xmm2, qword [test_count]
    divsd   xmm1, xmm2
    mov     rsi, [correct]
    mov     rdx, [test_count]
    lea     rdi, [test_line]
    mov     eax, 2                              ; two vector registers are in use
    call    printf
    call    print_confusion
    add     rsp, 8
    ret
.end:

;   void print_confusion(void)
;   a row for each label: how often it was taken for each class, and its accuracy
;   clobbers what a call may
%define label       rbx
%define class       rbp
%define row         r12                         ; of confusion
%define count       r13                         ; samples with this label

print_confusion:
    push    rbx
    push    rbp
    push    r12
    push    r13
    sub     rsp, 8                              ; 8 + 4 * 8 + 8: calls are 16-byte aligned

    lea     rdi, [confusion_head]
    xor     eax, eax
    call    printf
    xor     class, class
.head:
    lea     rdi, [head_cell]
    mov     rsi, class
    xor     eax, eax
    call    printf
    inc     class
    cmp     class, CLASSES
    jb      .head
    mov     edi, 10
    call    putchar

    lea     row, [confusion]
    xor     label, label
.row:
    lea     rdi, [label_cell]
    mov     rsi, label
    xor     eax, eax
    call    printf
    xor     count, count
    xor     class, class
.cell:
    mov     rsi, [row + class * 8]
    add     count, rsi
    lea     rdi, [cell]
    xor     eax, eax
    call    printf
    inc     class
    cmp     class, CLASSES
    jb      .cell

    lea     rdi, [no_accuracy]
    test    count, count
    jz      .accuracy                           ; the test set has no such digit
    lea     rdi, [accuracy]
    imul    rax, [row + label * 8], 100         ; per cent
    cvtsi2sd xmm0, rax
    cvtsi2sd xmm1, count
    divsd   xmm0, xmm1
.accuracy:
    mov     eax, 1                              ; one vector register is in use
    call    printf
    add     row, CLASSES * 8
    inc     label
    cmp     label, CLASSES
    jb      .row

    add     rsp, 8
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef label
%undef class
%undef row
%undef count

    section .rodata align=8

weights_lines:  dq glorot, he, loaded           ; in the order of INIT_GLOROT to INIT_LOADED

glorot:
    db  "weights   random, as wide as Glorot's", 10, 0
he:
    db  "weights   random, as wide as He's", 10, 0
loaded:
    db  "weights   from %s", 10, 0
network_line:
    db  "network   %u-%u-%u-%u, ReLU, softmax, cross-entropy, SGD, float32", 10, 0
data_line:
    db  "data      %s, %lu training and %lu test samples", 10, 0
training_line:
    db  "training  %lu epochs, batch %lu, learning rate %g", 10, 0
rules_line:
    db  "          momentum %g, weight decay %g, dropout %g", 10, 0
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
confusion_head:
    db  10, "taken for", 0
head_cell:
    db  "%6lu", 0
label_cell:
    db  "label %-3lu", 0
cell:
    db  "%6lu", 0
accuracy:
    db  "  %6.2f %%", 10, 0
no_accuracy:
    db  "       -", 10, 0

    section .note.GNU-stack noalloc noexec nowrite progbits
