/* mpi_hello [SECONDS]
 *
 * Every rank says who and where it is: its host, and its container by what /etc/im-image holds, a file that only images made by
 * build.sh have. Then all ranks sum 1 + rank and check the result, once, or once a second for SECONDS. Exit code: 0 = the sum is
 * right on every rank, 1 = it is wrong.
 *
 * Licence: Apache-2.0
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void name_container(char *name, int size)
{
    FILE *marker = fopen("/etc/im-image", "r");

    snprintf(name, size, "none");
    if (marker) {
        if (fscanf(marker, "%63s", name) != 1)
            snprintf(name, size, "unnamed");
        fclose(marker);
    }
}

static double sum_over_ranks(int rank)
{
    double mine = rank + 1, sum = 0;
    MPI_Allreduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

int main(int argc, char **argv)
{
    int rank, size, length, wrong, seconds = argc > 1 ? atoi(argv[1]) : 0;
    char host[MPI_MAX_PROCESSOR_NAME], container[64];
    static char line[BUFSIZ]; /* of our own: MPICH's MPI_Init leaves stdout without one, and every piece is then a write */
    double sum, expected;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Get_processor_name(host, &length);
    name_container(container, sizeof container);
    setvbuf(stdout, line, _IOLBF, sizeof line);

    expected = size * (size + 1) / 2.0;
    sum = sum_over_ranks(rank);
    wrong = sum != expected;
    printf("rank %d of %d on %s, container %s, sum %g: %s\n", rank, size, host, container, sum, wrong ? "WRONG" : "right");
    for (; seconds > 0 && !wrong; seconds--) {
        sleep(1);
        wrong = sum_over_ranks(rank) != expected;
    }
    MPI_Finalize();
    return wrong;
}
