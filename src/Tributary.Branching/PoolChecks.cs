using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>What is, and what is wrong with, the place where branches are kept, for a doctor: it changes nothing, and a server may run on the same folder.</summary>
public static class PoolChecks
{
    /// <summary>A sentence each fault, with what to do; none when all is well.</summary>
    public static async Task<IReadOnlyList<string>> RunAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return await PoolHealth.CheckAsync(options, cancellationToken);
        }
        catch (Exception exception) when (exception is StorageException or ChildProcessException or IOException or UnauthorizedAccessException)
        {
            return [exception.Message];
        }
    }

    /// <summary>The driver, the place, what is used of it and how far it can grow, in one line; null where only <see cref="RunAsync"/> has something to say.</summary>
    public static async Task<string?> DescribeAsync(BranchingOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return await PoolDescription.OfAsync(options, cancellationToken);
        }
        catch (Exception exception) when (exception is StorageException or ChildProcessException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
