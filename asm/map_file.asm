; A file as memory: an address and a size, once it is sure to be a regular file.

%include "exit.inc"
%include "file.inc"

    default rel
    section .text

    extern  fail                                ; fail.asm
    extern  strerror, __errno_location
    extern  fstat, close, mmap

    global  map_file:function (map_file.end - map_file)
    global  check_regular:function (check_regular.end - check_regular)

PROT_READ       equ 1
MAP_PRIVATE     equ 2

;   const uint8_t *map_file(int fd, const char *path, const char *wanted, uint64_t *size)
;   edi = fd      closed here
;   rsi = path    for messages
;   rdx = wanted  what the file should be, for messages
;   rcx = size    [1]  becomes the bytes of the file
;   returns its first byte in rax, read-only; 0 if the file is empty; or ends the program
;   clobbers what a call may
%define fd          ebx
%define path        rbp
%define wanted      r12
%define size        r13
%define status      rsp                         ; struct stat
%define FRAME       STAT_BYTES + 8              ; 8 + 4 * 8 + 152: calls are 16-byte aligned

map_file:
    push    rbx
    push    rbp
    push    r12
    push    r13
    sub     rsp, FRAME
    mov     fd, edi
    mov     path, rsi
    mov     wanted, rdx
    mov     size, rcx

    mov     rsi, status
    call    fstat
    test    eax, eax
    jnz     .refused
    mov     edi, [status + STAT_MODE]
    mov     rsi, path
    mov     rdx, wanted
    call    check_regular
    mov     rsi, [status + STAT_SIZE]
    mov     [size], rsi
    xor     eax, eax
    test    rsi, rsi
    jz      .mapped                             ; nothing cannot be mapped

    xor     edi, edi                            ; anywhere
    mov     edx, PROT_READ
    mov     ecx, MAP_PRIVATE
    mov     r8d, fd
    xor     r9d, r9d                            ; from the beginning
    call    mmap
    cmp     rax, -1
    je      .refused
.mapped:
    mov     size, rax
    mov     edi, fd
    call    close                               ; the mapping stays
    mov     rax, size
    add     rsp, FRAME
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

.refused:
    call    __errno_location
    mov     edi, [rax]
    call    strerror
    mov     edi, EXIT_DATA
    lea     rsi, [cannot_read]
    mov     rdx, path
    mov     rcx, rax
    mov     r8, wanted
    call    fail
.end:

%undef fd
%undef path
%undef wanted
%undef size
%undef status
%undef FRAME

;   void check_regular(uint32_t mode, const char *path, const char *wanted)
;   edi = mode    of struct stat
;   rsi = path    for the message
;   rdx = wanted  what the file should be, for the message
;   ends the program unless it is a regular file
;   clobbers rax, rcx
check_regular:
    and     edi, S_IFMT
    cmp     edi, S_IFREG
    jne     .wrong
    ret

.wrong:
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rcx, rdx
    mov     rdx, rsi
    lea     rsi, [is_special]
    lea     rax, [is_directory]
    cmp     edi, S_IFDIR
    cmove   rsi, rax
    mov     edi, EXIT_DATA
    call    fail
.end:

    section .rodata

cannot_read:    db "%s: cannot be read: %s; wanted %s", 0
is_directory:   db "%s: is a directory, wanted %s", 0
is_special:     db "%s: is no regular file, wanted %s", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
