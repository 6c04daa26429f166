using Tributary.Branching.Seeding;
using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>Makes seeds of main, one at a time: whoever waits for one may find that it holds what was wanted.</summary>
internal sealed class MainSeeds(IMain main, SeedShelf shelf, SeedMaker maker) : IDisposable
{
    readonly SemaphoreSlim _one = new(1, 1);

    /// <summary>The newest seed when it is at or beyond a position that main has reached, else one that is made now.</summary>
    /// <param name="dataTime">A moment that data of the position is at least as new as.</param>
    /// <exception cref="StorageException">The pool refuses.</exception>
    /// <exception cref="Postgres.Programs.ChildProcessException">The clone did not start.</exception>
    /// <exception cref="Npgsql.NpgsqlException">Main does not answer.</exception>
    public async Task<SeedStatus> AtLeastAsync(Lsn position, DateTimeOffset dataTime, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            if (shelf.Newest is { } newest && newest.Lsn >= position)
                return newest;
            var seed = await maker.MakeAsync(shelf.NextId(), dataTime, position, cancellationToken);
            await shelf.AddAsync(seed, cancellationToken);
            return seed;
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>A seed of all that main has now.</summary>
    public async Task<SeedStatus> OfNowAsync(CancellationToken cancellationToken)
    {
        var position = await main.PositionAsync(cancellationToken);
        return await AtLeastAsync(position.Lsn, position.DataTime, cancellationToken);
    }

    public void Dispose() => _one.Dispose();
}
