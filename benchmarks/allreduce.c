/* allreduce BYTES COUNT: the median time of MPI_Allreduce over all ranks, in microseconds.
 *
 * As OSU's osu_allreduce and Intel's IMB do it, neither of which Debian has: COUNT calls after a tenth of them to warm up, doubles
 * summed in place, a barrier before each, and of each call the time that the slowest rank took.
 *
 * Licence: Apache-2.0
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
    int rank, i, bytes = argc > 1 ? atoi(argv[1]) : 8, count = argc > 2 ? atoi(argv[2]) : 1000, warm = count / 10;
    int words = bytes / (int)sizeof(double);
    double *data = calloc(words, sizeof *data), *took = calloc(count, sizeof *took), begun, mine;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (i = -warm; i < count; i++) {
        MPI_Barrier(MPI_COMM_WORLD);
        begun = MPI_Wtime();
        MPI_Allreduce(MPI_IN_PLACE, data, words, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
        mine = (MPI_Wtime() - begun) * 1e6;
        if (i >= 0)
            MPI_Reduce(&mine, &took[i], 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    }
    if (rank == 0) {
        qsort(took, count, sizeof *took, ascending);
        printf("%.3f\n", took[count / 2]);
    }
    MPI_Finalize();
    return 0;
}
