using Microsoft.Extensions.Logging;
using Tributary.Branching;

namespace Tributary.Server.Hosting;

static class BranchManagers
{
    public static BranchManager Create(BranchingOptions options, TimeProvider timeProvider, ILoggerFactory loggerFactory) => new();
}
