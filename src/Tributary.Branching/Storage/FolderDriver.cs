using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// Volumes that are plain folders, and clones of them file by file: what the drivers have in common whose file system knows no volumes. A file is
/// cloned at one moment, a folder is not, so the server on the source must stand still for it. Nothing is forbidden for a frozen volume: only
/// clones of it are ever started.
/// </summary>
/// <param name="root">The pool's folder.</param>
/// <param name="reflink"><c>cp</c>'s <c>--reflink</c>: <c>always</c> fails where blocks cannot be shared, <c>auto</c> copies them then.</param>
internal abstract class FolderDriver(string root, string reflink) : IStorageDriver
{
    public abstract string Name { get; }

    public bool ClonesAreAtomic => false;

    public bool ClonesShareBytes => reflink == "always";

    public string PathOf(string volume) => Path.Combine(root, volume);

    public async Task CreateAsync(string volume, CancellationToken cancellationToken)
    {
        await DeleteAsync(volume, cancellationToken);
        try
        {
            Directory.CreateDirectory(PathOf(volume), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (IOException exception)
        {
            throw StorageCommand.Refused($"make the volume {volume}", exception.Message);
        }

        PostgresUser.Own(PathOf(volume));
    }

    public async Task CloneAsync(string source, string copy, CancellationToken cancellationToken)
    {
        // The copy is made beside its place and renamed, so that a crash in the middle never leaves a half one under the name.
        var unfinished = PathOf(copy) + ".unfinished";
        await DeleteAsync(copy, cancellationToken);
        Directory.CreateDirectory(Path.GetDirectoryName(unfinished)!);
        try
        {
            await StorageCommand.RunAsync(
                $"clone {source} to {copy}", "cp", ["--archive", $"--reflink={reflink}", "--no-target-directory", PathOf(source), unfinished], cancellationToken);
        }
        catch (StorageException)
        {
            // What was copied before the pool was full must not keep it full.
            await DeleteAsync(copy, CancellationToken.None);
            throw;
        }

        Directory.Move(unfinished, PathOf(copy));
    }

    public Task FreezeAsync(string volume, CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task DeleteAsync(string volume, CancellationToken cancellationToken)
    {
        foreach (var path in new[] { PathOf(volume), PathOf(volume) + ".unfinished" })
        {
            if (Directory.Exists(path))
                await StorageCommand.RunAsync($"delete {volume}", "rm", ["-rf", "--one-file-system", path], cancellationToken);
        }
    }

    public IReadOnlyList<string> List(string folder) => StorageCommand.ListFolder(root, folder);

    public virtual Task<long> ShareAlikeAsync(string volume, string other, CancellationToken cancellationToken) => Task.FromResult(0L);

    public abstract Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken);
}
