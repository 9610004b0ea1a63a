; All weights and biases in one file, written whole or not at all, and checked when read.
;
;   "NNWEIGHT", version 1, layers 3, sizes 784 128 64 10,     8 bytes, then uint32
;   W1, b1, W2, b2, W3, b3                                    float32, row by row
;   CRC-32 of all bytes before it                             uint32
;
; Everything is little-endian, as x86-64 has it in memory; docs/weights.md shows how to read
; the file in Python.

%include "network.inc"
%include "buffers.inc"
%include "exit.inc"
%include "file.inc"

    default rel
    section .text

    extern  crc32                               ; crc32.asm
    extern  map_file, check_regular             ; map_file.asm
    extern  fail                                ; fail.asm
    extern  asprintf, strerror, __errno_location, malloc, free, memcpy, memcmp
    extern  getpid, open, stat, write, fsync, close, rename, unlink, munmap

    global  load_weights:function (load_weights.end - load_weights)
    global  save_weights:function (save_weights.end - save_weights)
    global  check_save:function (check_save.end - check_save)
    global  open_temporary:function (open_temporary.end - open_temporary)
    global  pack_weights:function (pack_weights.end - pack_weights)
    global  cannot_save:function (cannot_save.end - cannot_save)

MAGIC_BYTES     equ 8
VERSION         equ 1
LAYERS          equ 3
HEADER          equ MAGIC_BYTES + (2 + LAYERS + 1) * 4
PARAMETERS      equ INPUTS * HIDDEN1 + HIDDEN1 + HIDDEN1 * HIDDEN2 + HIDDEN2 \
                    + HIDDEN2 * CLASSES + CLASSES
CHECKED         equ HEADER + PARAMETERS * F32   ; bytes that the checksum covers
FILE_SIZE       equ CHECKED + 4

ANYBODY_MAY     equ 0o666                       ; less what the user's umask takes away

; ---- reading

;   void load_weights(const char *path)
;   rdi = path
;   writes W1, b1, W2, b2, W3, b3
;   ends the program if there is anything wrong with the file
;   clobbers what a call may
%define path        rbx
%define bytes       rbp                         ; the file, from its first byte
%define number      r12                         ; which of the sizes, or of the arrays
%define source      r13                         ; the next array in the file
%define entry       r14                         ; of the table of arrays
%define size        [rsp]                       ; uint64, bytes of the file
%define FRAME       16                          ; 8 + 5 * 8 + 16: calls are 16-byte aligned

load_weights:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    sub     rsp, FRAME
    mov     path, rdi

    mov     esi, O_RDONLY | O_NONBLOCK | O_CLOEXEC
    xor     eax, eax
    call    open
    test    eax, eax
    js      .refused
    mov     edi, eax
    mov     rsi, path
    lea     rdx, [wanted]
    lea     rcx, size
    call    map_file
    mov     bytes, rax

    cmp     qword size, HEADER
    jb      .no_weights
    mov     rdi, bytes
    lea     rsi, [header]
    mov     edx, MAGIC_BYTES
    call    memcmp
    test    eax, eax
    jnz     .no_weights
    cmp     dword [bytes + MAGIC_BYTES], VERSION
    jne     .wrong_version
    cmp     dword [bytes + MAGIC_BYTES + 4], LAYERS
    jne     .wrong_layers
    lea     rsi, [sizes]
    xor     number, number
.size:
    mov     r8d, [bytes + MAGIC_BYTES + 8 + number * 4]
    mov     r9d, [rsi + number * 4]
    cmp     r8d, r9d
    jne     .wrong_size
    inc     number
    cmp     number, LAYERS + 1
    jb      .size
    cmp     qword size, FILE_SIZE
    jb      .truncated
    ja      .too_long
    mov     rdi, bytes
    mov     esi, CHECKED
    call    crc32
    cmp     eax, [bytes + CHECKED]
    jne     .damaged

    lea     entry, [arrays]
    lea     source, [bytes + HEADER]
.array:
    mov     rdi, [entry]
    mov     rsi, source
    mov     rdx, [entry + 8]
    add     source, rdx
    call    memcpy
    add     entry, 2 * 8
    lea     rax, [arrays_end]
    cmp     entry, rax
    jb      .array

    mov     rdi, bytes
    mov     esi, FILE_SIZE
    call    munmap
    add     rsp, FRAME
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

.refused:
    call    __errno_location
    mov     edi, [rax]
    call    strerror
    mov     rcx, rax
    lea     r8, [wanted]
    lea     rsi, [cannot_read]
    jmp     .fail
.no_weights:
    lea     rcx, [wanted]
    lea     rsi, [no_weights]
    jmp     .fail
.wrong_version:
    mov     ecx, [bytes + MAGIC_BYTES]
    mov     r8d, VERSION
    lea     rsi, [wrong_version]
    jmp     .fail
.wrong_layers:
    mov     ecx, [bytes + MAGIC_BYTES + 4]
    mov     r8d, LAYERS
    lea     rsi, [wrong_layers]
    jmp     .fail
.wrong_size:                                    ; r8 = found, r9 = wanted
    mov     rcx, number
    lea     rsi, [wrong_size]
    jmp     .fail
.truncated:
    lea     rsi, [truncated]
    mov     rcx, size
    mov     r8d, FILE_SIZE
    jmp     .fail
.too_long:
    lea     rsi, [too_long]
    mov     rcx, size
    mov     r8d, FILE_SIZE
    jmp     .fail
.damaged:
    mov     ecx, [bytes + CHECKED]
    mov     r8d, eax
    lea     rsi, [damaged]
.fail:                                          ; rsi = format, rcx, r8, r9 = what it asks for
    mov     rdx, path
    mov     edi, EXIT_DATA
    call    fail
.end:

%undef path
%undef bytes
%undef number
%undef source
%undef entry
%undef size
%undef FRAME

; ---- writing

;   void check_save(const char *path)
;   rdi = path
;   ends the program if no file could be written there: before the training, not after it
;   clobbers what a call may
%define path        rbx
%define status      rsp                         ; struct stat

check_save:
    push    rbx
    sub     rsp, STAT_BYTES                     ; 8 + 8 + 144: calls are 16-byte aligned
    mov     path, rdi
    mov     rsi, status
    call    stat
    test    eax, eax
    jnz     .not_there
    mov     edi, [status + STAT_MODE]           ; a device would be replaced, not written to
    mov     rsi, path
    lea     rdx, [wanted_name]
    call    check_regular
.try:
    mov     rdi, path
    call    open_temporary
    mov     edi, eax
    call    close
    mov     rdi, [temporary]
    call    unlink
    add     rsp, STAT_BYTES
    pop     rbx
    ret

.not_there:
    call    __errno_location
    cmp     dword [rax], ENOENT
    je      .try
    mov     rdi, path
    call    cannot_save
.end:

%undef path
%undef status

;   void save_weights(const char *path)
;   rdi = path  replaced in one go: whoever reads it sees the old file or the new one
;   ends the program if it cannot be written
;   clobbers what a call may
%define path        rbx
%define bytes       rbp                         ; the file, from its first byte
%define fd          r12d
%define left        r13                         ; bytes still to write
%define next        r14                         ; the first of them

save_weights:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14                                 ; 8 + 5 * 8: calls are 16-byte aligned
    mov     path, rdi
    mov     edi, FILE_SIZE
    call    malloc
    test    rax, rax
    jz      .failed
    mov     bytes, rax
    mov     rdi, bytes
    call    pack_weights

    mov     rdi, path
    call    open_temporary
    mov     fd, eax
    mov     left, FILE_SIZE
    mov     next, bytes
.write:
    mov     edi, fd
    mov     rsi, next
    mov     rdx, left
    call    write
    test    rax, rax
    js      .failed
    add     next, rax
    sub     left, rax
    jnz     .write

    mov     edi, fd
    call    fsync                               ; on the disk before it takes the old file's place
    test    eax, eax
    jnz     .failed
    mov     edi, fd
    call    close
    test    eax, eax
    jnz     .failed
    mov     rdi, [temporary]
    mov     rsi, path
    call    rename
    test    eax, eax
    jnz     .failed
    mov     rdi, bytes
    call    free
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

.failed:
    mov     rdi, path
    call    cannot_save
.end:

%undef path
%undef bytes
%undef fd
%undef left
%undef next

;   void pack_weights(uint8_t *bytes)
;   rdi = bytes  [FILE_SIZE]  becomes the file
;   reads W1, b1, W2, b2, W3, b3
;   clobbers what a call may
%define bytes       rbx
%define target      rbp                         ; the next array in the file
%define entry       r12                         ; of the table of arrays

pack_weights:
    push    rbx
    push    rbp
    push    r12                                 ; 8 + 3 * 8: calls are 16-byte aligned
    mov     bytes, rdi
    lea     rsi, [header]
    mov     edx, HEADER
    call    memcpy
    lea     target, [bytes + HEADER]
    lea     entry, [arrays]
.array:
    mov     rdi, target
    mov     rsi, [entry]
    mov     rdx, [entry + 8]
    add     target, rdx
    call    memcpy
    add     entry, 2 * 8
    lea     rax, [arrays_end]
    cmp     entry, rax
    jb      .array
    mov     rdi, bytes
    mov     esi, CHECKED
    call    crc32
    mov     [bytes + CHECKED], eax
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef bytes
%undef target
%undef entry

;   int open_temporary(const char *path)
;   rdi = path
;   writes temporary: path with the number of this process, so that two do not meet
;   returns a file descriptor in eax, or ends the program
;   clobbers what a call may
%define path        rbx

open_temporary:
    push    rbx                                 ; 8 + 8: calls are 16-byte aligned
    mov     path, rdi
    call    getpid
    lea     rdi, [temporary]
    lea     rsi, [temporary_name]
    mov     rdx, path
    mov     ecx, eax
    xor     eax, eax
    call    asprintf
    test    eax, eax
    js      .failed
    mov     rdi, [temporary]
    mov     esi, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC
    mov     edx, ANYBODY_MAY
    xor     eax, eax
    call    open
    test    eax, eax
    js      .failed
    pop     rbx
    ret
.failed:
    mov     rdi, path
    call    cannot_save
.end:

%undef path

;   noreturn void cannot_save(const char *path)
;   rdi = path
;   removes the temporary file, if there is one; says why by errno
%define path        rbx
%define reason      rbp

cannot_save:
    push    rbx
    push    rbp
    sub     rsp, 8                              ; 8 + 2 * 8 + 8: calls are 16-byte aligned
    mov     path, rdi
    call    __errno_location
    mov     edi, [rax]
    call    strerror
    mov     reason, rax
    mov     rdi, [temporary]
    test    rdi, rdi
    jz      .say
    call    unlink
.say:
    mov     edi, EXIT_DATA
    lea     rsi, [cannot_write]
    mov     rdx, path
    mov     rcx, reason
    call    fail
.end:

%undef path
%undef reason

    section .bss align=8

temporary:      resq 1                          ; char *, the file's name until it is complete

    section .rodata align=8

arrays:                                         ; address and bytes, in the order of the file
    dq  W1, INPUTS * HIDDEN1 * F32
    dq  b1, HIDDEN1 * F32
    dq  W2, HIDDEN1 * HIDDEN2 * F32
    dq  b2, HIDDEN2 * F32
    dq  W3, HIDDEN2 * CLASSES * F32
    dq  b3, CLASSES * F32
arrays_end:

header:
    db  "NNWEIGHT"
    dd  VERSION, LAYERS
sizes:
    dd  INPUTS, HIDDEN1, HIDDEN2, CLASSES

wanted:
    db  "a file that --save wrote", 0
wanted_name:
    db  "a name for the file of weights", 0
temporary_name:
    db  "%s.%d.tmp", 0
cannot_read:
    db  "%s: cannot be read: %s; wanted %s", 0
cannot_write:
    db  "%s: cannot be written: %s; name another file with --save", 0
no_weights:
    db  "%s: does not begin as a file of weights, wanted %s", 0
wrong_version:
    db  "%s: is of version %u, wanted %u; save the weights again", 0
wrong_layers:
    db  "%s: holds a network of %u layers, wanted %u", 0
wrong_size:
    db  "%s: size %u of its network is %u, wanted %u", 0
truncated:
    db  "%s: is truncated: holds %lu bytes, wanted %lu; save the weights again", 0
too_long:
    db  "%s: is too long: holds %lu bytes, wanted %lu; save the weights again", 0
damaged:
    db  "%s: is damaged: its checksum is 0x%08x, but its bytes make 0x%08x", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
