/* mpi_hello [SECONDS]
 *
 * Every rank says who and where it is, and whether it runs in an image that build.sh made; then all ranks sum their numbers and check the
 * result, once, or once a second for SECONDS. Exit code: 0 = the sum is right on every rank, 1 = it is wrong.
 *
 * Licence: Apache-2.0
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int sum_is_wrong(int rank, int size)
{
    double mine = rank + 1, sum = 0;
    MPI_Allreduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return sum != size * (size + 1) / 2.0;
}

int main(int argc, char **argv)
{
    int rank, size, length, wrong, seconds = argc > 1 ? atoi(argv[1]) : 0;
    char host[MPI_MAX_PROCESSOR_NAME];

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Get_processor_name(host, &length);
    setvbuf(stdout, NULL, _IOLBF, 0);

    wrong = sum_is_wrong(rank, size);
    printf("rank %d of %d on %s, container: %s, sum: %s\n", rank, size, host,
           access("/etc/im-image", F_OK) == 0 ? "yes" : "no", wrong ? "WRONG" : "right");
    for (; seconds > 0 && !wrong; seconds--) {
        sleep(1);
        wrong = sum_is_wrong(rank, size);
    }
    MPI_Finalize();
    return wrong;
}
