using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// Space that nobody but Tributary can use: a file in the pool that is removed when the pool is full, so that main, whose log must be written somewhere,
/// goes on after a branch has taken all the rest. Only an image of ours has one: a folder that the configuration names is shared with others. Nothing is
/// written into it, so it takes no room on the disk that the image is on.
/// </summary>
internal sealed class PoolReserve(Pool pool)
{
    /// <summary>What main replays while somebody frees space: minutes of a busy production.</summary>
    const long BytesMost = 256L << 20;

    const long BytesLeast = 64L << 20;

    const int PartOfPool = 16;

    public bool IsHeld => File.Exists(pool.ReserveFile);

    /// <summary>Takes the space when there is so much that nobody else feels it; answers whether it did.</summary>
    /// <exception cref="IOException">The pool refuses.</exception>
    public bool Take()
    {
        if (IsHeld || !pool.IsImage)
            return false;
        // Under another name until it is whole: a part of it that a crash leaves is no reserve.
        var partial = pool.ReserveFile + ".new";
        File.Delete(partial);
        var (_, max, free) = pool.Space();
        var bytes = Math.Clamp(max / PartOfPool, BytesLeast, BytesMost);
        if (free < bytes + (2 * BranchRegistry.FreeBytesMin))
            return false;
        using (new FileStream(partial, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, PreallocationSize = bytes }))
        {
        }

        File.Move(partial, pool.ReserveFile);
        return true;
    }

    /// <summary>Gives the space back, which the file system does with its next commit.</summary>
    /// <exception cref="ChildProcessException">The pool cannot be flushed.</exception>
    public async Task ReleaseAsync(CancellationToken cancellationToken)
    {
        File.Delete(pool.ReserveFile);
        await PoolFlush.FlushAsync(pool.Root, cancellationToken);
    }
}
