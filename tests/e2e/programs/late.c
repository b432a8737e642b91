/* Rank 0 answers its peers for half a second in which all of them are already in MPI_Finalize, and ends last.
 *
 * Licence: Apache-2.0
 */
#include <mpi.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int rank, size, i, word = 0, there;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (rank > 0) {
        MPI_Recv(&word, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Send(&word, 1, MPI_INT, 0, 1, MPI_COMM_WORLD);
    } else {
        for (i = 1; i < size; i++)
            MPI_Send(&word, 1, MPI_INT, i, 0, MPI_COMM_WORLD);
        for (i = 1; i < size; i++)
            MPI_Recv(&word, 1, MPI_INT, i, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (i = 0; i < 500; i++) {
            usleep(1000);
            MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
        }
    }
    MPI_Finalize();
    return 0;
}
