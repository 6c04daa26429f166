namespace Tributary.Testing;

/// <summary>
/// The fixture of every test assembly that uses this project (Directory.Build.targets adds it): after the last test it ends the shared servers and
/// removes the run's folder. It is a fixture and not a handler of the process's exit, since the runner calls a program that takes longer than
/// seconds to leave a failed one, and removing some gigabytes takes as long as the disk likes.
/// </summary>
public sealed class TestRun : IAsyncDisposable
{
    public async ValueTask DisposeAsync()
    {
        await TestServers.StopSharedAsync();
        TestFolder.DeleteAll();
    }
}
