namespace Tributary.Branching.Compute;

/// <summary>The control group of one server: a folder in each tree that limits or counts something of it.</summary>
internal sealed class ControlGroup(IReadOnlyList<(ControlGroupTree Tree, string Folder)> folders, Action removed)
{
    /// <summary>The kernel lets go of a group a moment after the last process's parent has seen its end.</summary>
    static readonly TimeSpan RemovalPause = TimeSpan.FromMilliseconds(5);

    /// <summary>A second in all; what is left after it is removed at the next start of Tributary.</summary>
    const int RemovalTries = 200;

    /// <summary>A process that writes 0 to each of these is in the group, and so is all that it starts.</summary>
    public IReadOnlyList<string> ProcessFiles { get; } = [.. folders.Select(pair => Path.Combine(pair.Folder, "cgroup.procs"))];

    /// <summary>What all processes that ever were in the group have used; null when the machine does not count it.</summary>
    public TimeSpan? CpuTime()
    {
        try
        {
            return folders.Select(pair => pair.Tree.CpuTime(pair.Folder)).FirstOrDefault(used => used is not null);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Removes the group once its processes have ended.</summary>
    public async Task RemoveAsync(TimeProvider time)
    {
        foreach (var (_, folder) in folders)
        {
            for (var attempt = 1; !TryRemove(folder) && attempt < RemovalTries; attempt++)
                await Task.Delay(RemovalPause, time);
        }

        removed();
    }

    /// <summary>False while processes or groups are in it. The files of a group are the kernel's own and go with it.</summary>
    public static bool TryRemove(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: false);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
