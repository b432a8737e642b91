/* A thread gives back memory that another one got after this thread began, as the progress threads of MPI do at times. */

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 4000
#define SIZE 1000

static char *blocks[BLOCKS];
static sem_t full;

static void get(int first) {
    for (int i = first; i < BLOCKS; i++) memset(blocks[i] = malloc(SIZE), 1, SIZE);
}

static void *give_back(void *nothing) {
    sem_wait(&full);
    for (int i = BLOCKS - 1; i >= BLOCKS / 2; i--) free(blocks[i]);
    return nothing;
}

int main(void) {
    pthread_t thread;
    sem_init(&full, 0, 0);
    if (pthread_create(&thread, NULL, give_back, NULL)) return 1;
    get(0);
    sem_post(&full);
    pthread_join(thread, NULL);
    get(BLOCKS / 2);
    puts("right");
    return 0;
}
